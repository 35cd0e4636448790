import { spawnSync } from 'node:child_process';
import { chmodSync, lutimesSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeAwkwardTree } from '../../kit/awkward-tree.js';
import { jsonLines, Machine, MAIN, run } from './command.js';

const BLOCK = 64 * 1024;
const NOBODY = 65_534;
const canBeNobody = process.geteuid?.() === 0 && spawnSync('setpriv', ['--version']).status === 0;
const NO_CHANGES = { create: 0, replace: 0, 'set-metadata': 0, link: 0 };

async function archived() {
  const machine = new Machine(`[content]\nblock_size = ${BLOCK}\n`);
  machine.pickData();
  const root = join(machine.data, 'tree');
  makeAwkwardTree(root, { blockSize: BLOCK, ordinary: 20 });
  for (const [name, at] of [
    ['first', 1],
    ['second', 2],
  ] as const) {
    writeFileSync(join(machine.data, name), name);
    utimesSync(join(machine.data, name), at, at);
  }
  expect([0, 3]).toContain((await machine.archive()).code);
  const target = join(machine.folder, 'back');
  // Paths so long that Node cannot remove them below a target.
  const args = ['restore', '--conf-dir', machine.confDir, '--target', target, '--exclude', 'tree/deep'];
  return { machine, target, args, at: (name: string) => join(target, machine.data, name) };
}

/** What a dry run lists, as `<verb> <path>`, in order. */
function listed(stdout: string): string[] {
  const lines = stdout.split('\n').map((line) => /^(\S+) +(\/\S.*?)(?: \(.*)?$/.exec(line));
  return lines.flatMap((match) => (match ? [`${match[1]} ${match[2]}`] : [])).sort();
}

function summaryOf(stdout: string): Record<string, unknown> {
  return jsonLines(stdout).at(-1) ?? {};
}

describe('a second restore into the same target', () => {
  it('changes nothing, and lists in a dry run only what a change needs', async () => {
    const { args, at } = await archived();
    const first = summaryOf((await run([...args, '--json'])).stdout);
    const { code, stdout } = await run([...args, '--json']);
    const second = summaryOf(stdout);
    expect(second['done']).toMatchObject(NO_CHANGES);
    expect([code, second['failed'], second['requests']]).toEqual([0, first['failed'], 0]);
    expect(listed((await run([...args, '--dry-run'])).stdout)).toEqual([]);
    chmodSync(at('first'), 0o600);
    chmodSync(at('tree/ordinary'), 0o700);
    writeFileSync(at('second'), 'changed');
    const linkFolder = at('tree/symlinks');
    const link = readdirSync(linkFolder, { withFileTypes: true }).find((entry) => entry.isSymbolicLink());
    lutimesSync(join(linkFolder, String(link?.name)), 5, 5);
    const dry = listed((await run([...args, '--dry-run'])).stdout);
    expect(dry).toHaveLength(4);
    expect(dry.map((line) => line.split(' ')[0])).toEqual([
      'replace',
      'set-metadata',
      'set-metadata',
      'set-metadata',
    ]);
    const real = summaryOf((await run([...args, '--json'])).stdout);
    expect(real['done']).toMatchObject({ create: 0, replace: 1, 'set-metadata': 3, link: 0 });
    const checked = summaryOf((await run([...args, '--json', '--checksum'])).stdout);
    expect(checked['done']).toMatchObject(NO_CHANGES);
  });

  it.skipIf(!canBeNobody)(
    'is right to a user who cannot set owners, and says what was not set once (root, setpriv)',
    async () => {
      const { machine, args, target } = await archived();
      for (const folder of [machine.folder, machine.confDir]) chmodSync(folder, 0o755);
      spawnSync('chmod', ['-R', 'a+rX', machine.store]);
      spawnSync('install', ['-d', '-o', String(NOBODY), '-g', String(NOBODY), target]);
      const asNobody = (...more: string[]) => {
        const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
        const command = [...user, process.execPath, MAIN, ...args, '--json', ...more];
        const { stdout, status } = spawnSync('setpriv', command, {
          encoding: 'utf8',
          maxBuffer: 2 ** 28,
          env: { PATH: process.env['PATH'], HOME: '/nonexistent', TMPDIR: target },
        });
        return { status, summary: summaryOf(stdout) };
      };
      const exclude = ['--exclude', 'modes', '--exclude', 'xattrs'];
      const first = asNobody(...exclude);
      const second = asNobody(...exclude);
      expect(first.summary['done']).toMatchObject({ keep: expect.any(Number) as number });
      expect(second.summary['done']).toMatchObject(NO_CHANGES);
      expect(second.summary['notSet']).toEqual(first.summary['notSet']);
      expect(second.status).toBe(first.status);
      rmSync(target, { recursive: true });
    },
  );
});
