import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunProgram } from '#src/files/run-program.js';
import { MARKER_FILE } from '#src/store/directory-layout.js';
import { readMarker } from '#src/store/directory-marker.js';
import { carryOut } from '#src/system/carry-out.js';
import { type FileStep, type Step, describeStep, formatSteps, parseSteps } from '#src/system/steps.js';
import { temporaryFolder } from '../../kit/temporary.js';

const NOW = Date.UTC(2026, 10, 20, 12, 10);

function programs(failing = ''): { ran: string[]; run: RunProgram } {
  const ran: string[] = [];
  const run: RunProgram = async (program, args) => {
    const command = [program, ...args].join(' ');
    ran.push(command);
    const status = command === failing ? 1 : 0;
    return { status, stdout: Buffer.alloc(0), stderr: Buffer.from('some reason\n') };
  };
  return { ran, run };
}

function file(path: string, content: string, more: Partial<FileStep> = {}): FileStep {
  return { kind: 'file', path, mode: 0o640, content, existing: 'replace', ...more };
}

async function carry(steps: readonly Step[], run: RunProgram, signal?: AbortSignal): Promise<string[]> {
  const said: string[] = [];
  await carryOut(steps, {
    env: {},
    run,
    now: () => NOW,
    signal,
    onEvent: (event) => {
      if (event.type === 'log') said.push(event.message);
    },
  });
  return said;
}

describe('a plan', () => {
  it('is done whole: folders, files with their modes, commands', async () => {
    const folder = temporaryFolder();
    const { ran, run } = programs();
    await carry(
      [
        { kind: 'folder', path: join(folder, 'etc'), mode: 0o755 },
        file(join(folder, 'etc', 'conf'), 'text'),
        { kind: 'command', command: ['systemctl', 'daemon-reload'] },
      ],
      run,
    );
    expect(readFileSync(join(folder, 'etc', 'conf'), 'utf8')).toBe('text');
    expect(statSync(join(folder, 'etc', 'conf')).mode & 0o7777).toBe(0o640);
    expect(statSync(join(folder, 'etc')).mode & 0o7777).toBe(0o755);
    expect(readdirSync(join(folder, 'etc'))).toEqual(['conf']);
    expect(ran).toEqual(['systemctl daemon-reload']);
  });

  it('keeps the old file beside the new one where it says so, and a file that is there where it says that', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'conf'), 'old');
    writeFileSync(join(folder, 'example'), 'mine');
    const { run } = programs();
    const steps = [
      file(join(folder, 'conf'), 'new', { existing: 'keep-beside' }),
      file(join(folder, 'example'), 'theirs', { existing: 'keep' }),
    ];
    await carry(steps, run);
    expect(readFileSync(join(folder, 'conf'), 'utf8')).toBe('new');
    expect(readFileSync(join(folder, 'conf.20261120T121000Z.old'), 'utf8')).toBe('old');
    expect(readFileSync(join(folder, 'example'), 'utf8')).toBe('mine');
    // Once more changes nothing, and keeps nothing twice.
    await carry(steps, run);
    expect(readdirSync(folder).sort()).toEqual(['conf', 'conf.20261120T121000Z.old', 'example']);
    // Another change in the same second keeps both.
    await carry([file(join(folder, 'conf'), 'newer', { existing: 'keep-beside' })], run);
    expect(readFileSync(join(folder, 'conf.20261120T121000Z.old'), 'utf8')).toBe('old');
    expect(readFileSync(join(folder, 'conf.20261120T121000Z-2.old'), 'utf8')).toBe('new');
  });

  it('leaves nothing when a step fails: commands taken back too, the last one first', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'unit'), 'old unit');
    chmodSync(join(folder, 'unit'), 0o600);
    const { ran, run } = programs('systemctl enable --now b.timer');
    const steps: Step[] = [
      { kind: 'command', command: ['useradd', 'backup'], undo: ['userdel', 'backup'] },
      { kind: 'folder', path: join(folder, 'etc'), mode: 0o755 },
      file(join(folder, 'etc', 'conf'), 'text', { existing: 'keep-beside' }),
      file(join(folder, 'unit'), 'new unit'),
      { kind: 'command', command: ['systemctl', 'enable', '--now', 'b.timer'] },
    ];
    await expect(carry(steps, run)).rejects.toMatchObject({
      code: 'SYSTEM',
      message: 'systemctl enable --now b.timer failed with exit code 1: some reason',
    });
    expect(readdirSync(folder)).toEqual(['unit']);
    expect(readFileSync(join(folder, 'unit'), 'utf8')).toBe('old unit');
    expect(statSync(join(folder, 'unit')).mode & 0o7777).toBe(0o600);
    expect(ran.at(-1)).toBe('userdel backup');
  });

  it('makes a directory a store, once, and takes that back where a later step fails', async () => {
    const folder = temporaryFolder();
    const { run } = programs('failing');
    const path = join(folder, 'store');
    const store: Step = { kind: 'store', path, mode: 0o700, statePath: join(folder, 'state') };
    const failing: Step = { kind: 'command', command: ['failing'] };
    await expect(carry([store, failing], run)).rejects.toMatchObject({ code: 'SYSTEM' });
    expect(readdirSync(folder)).toEqual([]);
    await carry([store], run);
    expect(statSync(path).mode & 0o7777).toBe(0o700);
    const made = await readMarker(path);
    expect(made).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/) });
    // What was there before stays.
    await expect(carry([store, failing], run)).rejects.toMatchObject({ code: 'SYSTEM' });
    expect(await readMarker(path)).toEqual(made);
    // Who has stored nowhere there needs to know nothing.
    expect(readdirSync(folder)).toEqual(['store']);
  });

  it.skipIf(process.getuid?.() !== 0)('gives a store to its owner (needs root)', async () => {
    const path = join(temporaryFolder(), 'store');
    const owner = { user: 'daemon', group: 'daemon' };
    await carry([{ kind: 'store', path, mode: 0o700, owner }], programs().run);
    const owners = [path, join(path, MARKER_FILE)].map((made) => statSync(made).uid);
    expect(new Set(owners)).toEqual(new Set([1]));
  });

  it('says what it could not take back', async () => {
    const { run } = programs('b');
    const said: string[] = [];
    const failingUndo: RunProgram = async (program, args, options) => {
      if (program === 'undo-a') throw new Error('gone');
      return await run(program, args, options);
    };
    await expect(
      carryOut(
        [
          { kind: 'command', command: ['a'], undo: ['undo-a'] },
          { kind: 'command', command: ['b'] },
        ],
        {
          env: {},
          run: failingUndo,
          onEvent: (event) => {
            if (event.type === 'log') said.push(event.message);
          },
        },
      ),
    ).rejects.toThrow('b failed');
    expect(said).toEqual([expect.stringContaining('could not take back: a')]);
  });

  it('that is stopped is taken back', async () => {
    const folder = temporaryFolder();
    const stop = new AbortController();
    const run: RunProgram = async () => {
      stop.abort();
      return { status: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
    };
    const steps: Step[] = [
      { kind: 'folder', path: join(folder, 'etc'), mode: 0o755 },
      { kind: 'command', command: ['slow'] },
      file(join(folder, 'etc', 'conf'), 'text'),
    ];
    await expect(carry(steps, run, stop.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(existsSync(join(folder, 'etc'))).toBe(false);
  });

  it('follows a link to the file it leads to, and leaves the link', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'managed'));
    writeFileSync(join(folder, 'managed', 'conf'), 'old');
    symlinkSync('managed/conf', join(folder, 'conf'));
    await carry([file(join(folder, 'conf'), 'new')], programs().run);
    expect(readFileSync(join(folder, 'managed', 'conf'), 'utf8')).toBe('new');
    expect(
      readdirSync(folder, { withFileTypes: true })
        .find(({ name }) => name === 'conf')
        ?.isSymbolicLink(),
    ).toBe(true);
  });

  it('a user that is not there is said', async () => {
    const step = file(join(temporaryFolder(), 'a'), 'a', {
      owner: { user: 'root', group: 'no-such-group-here' },
    });
    await expect(carry([step], programs().run)).rejects.toThrow('there is no group no-such-group-here');
  });

  it('reads as it was written down, and nothing else does', () => {
    const steps: Step[] = [
      { kind: 'command', command: ['useradd', 'backup'], undo: ['userdel', 'backup'] },
      { kind: 'folder', path: '/etc/backup', mode: 0o755, owner: { user: 'root', group: 'root' } },
      { kind: 'store', path: '/srv/backup', mode: 0o700, statePath: '/var/lib/s3-sysbackup' },
      file('/etc/backup/credentials', 'key', { secret: true }),
    ];
    expect(parseSteps(formatSteps(steps))).toEqual(steps);
    for (const text of [
      '',
      '{}',
      '[1]',
      '[{"kind":"file"}]',
      '[{"kind":"folder","path":"a","mode":1}]',
      '[{"kind":"store","path":"/a","mode":1,"statePath":7}]',
      '[{"kind":"folder","path":"/a","mode":2541}]',
      '[{"kind":"command","command":"rm -rf /"}]',
    ])
      expect(() => parseSteps(text)).toThrow('no plan');
  });

  it('is told a step a line', () => {
    expect(describeStep({ kind: 'command', command: ['echo', "it's", ''] })).toBe(
      `run     echo 'it'\\''s' ''`,
    );
    expect(describeStep({ kind: 'folder', path: '/a', mode: 0o700 })).toBe('folder  0700 /a');
    expect(describeStep({ kind: 'store', path: '/a', mode: 0o700 })).toBe(
      'store   0700 /a with its marker file',
    );
  });
});
