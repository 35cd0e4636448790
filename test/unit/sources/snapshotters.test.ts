import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hasWriters } from '#src/sources/native.js';
import { removeLeftSpools } from '#src/sources/spool.js';
import { runSnapshotter } from '#src/sources/snapshotters.js';
import type { SnapshotTaken, SnapshotterOptions } from '#src/sources/snapshotters.js';
import { env, executableOf, isRoot, newFolder } from './script-folder.js';

interface Ran {
  result: Awaited<ReturnType<typeof runSnapshotter>>;
  spoolFolder: string;
  log: string[];
}

async function run(body: string, more: Partial<SnapshotterOptions> = {}): Promise<Ran> {
  const log: string[] = [];
  const spoolFolder = more.spoolFolder ?? join(newFolder(), 'state', 'spool');
  const result = await runSnapshotter({
    snapshotter: await executableOf(body, 'db'),
    spoolFolder,
    env,
    onLog: (name, line, level) => void log.push(`${name} ${level}: ${line}`),
    ...more,
  });
  return { result, spoolFolder, log };
}

async function take(
  body: string,
  more: Partial<SnapshotterOptions> = {},
): Promise<Ran & { taken: SnapshotTaken; content: string }> {
  const ran = await run(body, more);
  if (!ran.result.ok) throw new Error(ran.result.problems.map(({ message }) => message).join());
  const content = readFileSync(ran.result.path, 'latin1');
  expect(content).toHaveLength(ran.result.size);
  return { ...ran, taken: ran.result, content };
}

/** Whether a program is there and works with these arguments. */
function works(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** ext4, xfs, btrfs and tmpfs tell who has a file open for writing; FUSE does not. */
function tellsWriters(): boolean {
  const path = join(mkdtempSync(join(tmpdir(), 'lease-')), 'file');
  writeFileSync(path, '');
  const fd = openSync(path, 'r');
  const answer = hasWriters(fd);
  closeSync(fd);
  rmSync(join(path, '..'), { recursive: true });
  return answer === false;
}

describe('the descriptor of a snapshotter', () => {
  it('takes >&$1, more than once', async () => {
    const { content, taken } = await take('echo one >&$1; echo two >&$1');
    expect(content).toBe('one\ntwo\n');
    expect(taken.problems).toEqual([]);
  });

  it('takes one >/dev/fd/$1', async () => {
    expect((await take('echo data >/dev/fd/$1')).content).toBe('data\n');
  });

  it('takes tar cf /dev/fd/$1', async () => {
    const { taken } = await take('tar cf /dev/fd/$1 -C / etc/passwd');
    const listing = execFileSync('tar', ['tf', taken.path], { encoding: 'utf8' });
    expect(listing).toBe('etc/passwd\n');
  });

  it('takes a writer that seeks', async () => {
    const { content } = await take(
      'printf 0123456789 >&$1; printf XY | dd of=/dev/fd/$1 bs=1 seek=2 conv=notrunc 2>/dev/null',
    );
    expect(content).toBe('01XY456789');
  });

  it.skipIf(!works('python3', '-c', ''))('takes one that seeks and reads in it (needs python3)', async () => {
    const { content } = await take(
      `exec python3 -c 'import os
f = os.fdopen(3, "r+b")
f.write(b"....body"); f.seek(4); body = f.read(); f.seek(0); f.write(b"%04d" % len(body)); f.close()'`,
    );
    expect(content).toBe('0004body');
  });

  it.skipIf(!isRoot || !works('setpriv', '--reuid=65534', '--clear-groups', 'true'))(
    'takes a writer that has changed its user (needs root and setpriv)',
    async () => {
      const { content } = await take(
        `exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'id -u >/dev/fd/'$1`,
      );
      expect(content).toBe('65534\n');
    },
  );

  it.skipIf(!isRoot || !works('su', '-s', '/bin/sh', 'nobody', '-c', 'true'))(
    'takes one that runs under su (needs root and su)',
    async () => {
      const { content } = await take(`su -s /bin/sh nobody -c "id -un >&$1; id -un >&$1"`);
      expect(content).toBe('nobody\nnobody\n');
    },
  );

  it('is behind a folder that nobody else enters', async () => {
    const { taken } = await take('echo >&$1');
    expect(statSync(join(taken.path, '..')).mode & 0o777).toBe(0o700);
  });

  it('is a regular file, to which only one that may can write nothing', async () => {
    const script = 'test -f /dev/fd/$1 && test "$1" = 3';
    const { result, spoolFolder } = await run(script);
    expect(result.ok).toBe(false);
    expect(result.problems).toMatchObject([{ severity: 'failure', code: 'snapshot-empty', source: 'db' }]);
    expect(result.problems[0]?.message).toContain('allow_empty');
    expect(readdirSync(spoolFolder)).toEqual([]);
    const { taken } = await take(script, { mayBeEmpty: true });
    expect(taken.size).toBe(0);
    expect(taken.problems).toEqual([]);
  });

  it.each([
    ['where it ends well', ''],
    ['where it fails', 'exit 4'],
  ])(
    'is what a dump has to go to: nothing is kept of one that went to standard output, %s',
    async (_, end) => {
      const { result, log } = await run(`seq -f 'secret-%.0f' 100000; ${end}`);
      expect(result.ok).toBe(false);
      expect(result.problems).toHaveLength(1);
      expect(JSON.stringify([result, log])).not.toContain('secret');
      if (end === '') expect(result.problems[0]?.message).toContain('>&$1');
    },
  );

  it('may stay empty where that is allowed, and the end of what was printed then is kept', async () => {
    const { taken } = await take('seq 100000', { mayBeEmpty: true });
    expect(taken.size).toBe(0);
    expect(taken.description?.endsWith('99999\n100000')).toBe(true);
    expect(taken.problems).toMatchObject([{ severity: 'note', code: 'description-too-long' }]);
  });
});

describe('what a snapshotter says', () => {
  it('is a description, and the last command to restore through', async () => {
    const { taken, log } = await take(
      `echo 'first line'; echo '::restore-through:: old'; echo 'Größe: 5 “GB”'
echo '::restore-through::   pg_restore -d "my db"  '; echo; echo warn >&2; echo x >&$1`,
    );
    expect(taken.description).toBe('first line\nGröße: 5 “GB”');
    expect(taken.restoreThrough).toBe('pg_restore -d "my db"');
    expect(log).toContain('db debug: first line');
    expect(log).toContain('db info: warn');
  });

  it('may be nothing', async () => {
    const { taken } = await take('echo; echo x >&$1');
    expect('description' in taken).toBe(false);
    expect('restoreThrough' in taken).toBe(false);
  });

  it('may be any bytes', async () => {
    const { taken } = await take(`printf 'a\\0b \\377 \\303\\244\\r\\nend'; echo x >&$1`);
    expect(taken.description).toBe('a\0b \uFFFD ä\r\nend');
  });

  it.each([
    ['before them', `echo '::restore-through:: cat'; yes 0123456789 | head -n 30000; echo last`],
    ['among them', `seq 30000; echo '::restore-through:: cat'; yes 0123456789 | head -n 300; echo last`],
    ['behind them', `seq 30000; printf '0123456789\\nlast\\n::restore-through:: cat'`],
    [
      'behind one line',
      `head -c 300000 /dev/zero | tr '\\0' 0; printf '0123456789\\nlast\\n'; echo '::restore-through:: cat'`,
    ],
  ])('keeps its last 4 KiB with a note, and a command said %s', async (_, script) => {
    const { taken } = await take(`${script}; echo x >&$1`);
    const length = taken.description?.length ?? 0;
    expect(length).toBeLessThanOrEqual(4096);
    expect(length).toBeGreaterThan(4000);
    expect(taken.description?.endsWith('0123456789\nlast')).toBe(true);
    expect(taken.restoreThrough).toBe('cat');
    expect(taken.problems).toMatchObject([{ severity: 'note', code: 'description-too-long' }]);
  });

  it('is kept whole, without a note, up to 4 KiB', async () => {
    const { taken } = await take(`head -c 4095 /dev/zero | tr '\\0' 0; echo; echo x >&$1`);
    expect(taken.description).toBe('0'.repeat(4095));
    expect(taken.problems).toEqual([]);
  });

  it('does not begin within a character', async () => {
    const { taken } = await take(`yes äöü | tr -d '\\n' | head -c 30000; echo; echo x >&$1`);
    expect(taken.description).not.toContain('\uFFFD');
    expect(taken.description?.length).toBeGreaterThan(2000);
  });

  it('loses a command that is too long to be known whole', async () => {
    const { taken } = await take(`printf '::restore-through:: %070000d\\n' 0; echo x >&$1`);
    expect(taken.restoreThrough).toBeUndefined();
    expect(taken.problems).toMatchObject([{ severity: 'note', code: 'restore-through-too-long' }]);
  });
});

describe('a snapshotter that fails', () => {
  it.each([
    ['echo partial >&$1; echo "no such database" >&2; exit 4', {}, 'exit code 4'],
    ['echo "no such database" >&2; kill -KILL $$', {}, 'SIGKILL'],
    ['echo "no such database" >&2; exec sleep 1000', { timeoutMs: 300 }, '0.3 s'],
  ])('leaves nothing but a problem: %s', async (body, more, how) => {
    const { result, spoolFolder } = await run(body, more);
    expect(result.ok).toBe(false);
    expect(result.problems).toMatchObject([
      { severity: 'failure', code: 'snapshotter-failed', source: 'db' },
    ]);
    expect(result.problems[0]?.message).toContain(how);
    expect(result.problems[0]?.message).toContain('no such database');
    expect(readdirSync(spoolFolder)).toEqual([]);
  });

  it('may have no interpreter', async () => {
    const snapshotter = await executableOf('true');
    writeFileSync(snapshotter.path, '#!/nonexistent/perl\n');
    const { result, spoolFolder } = await run('', { snapshotter });
    expect(result.problems[0]?.message).toContain('/nonexistent/perl');
    expect(readdirSync(spoolFolder)).toEqual([]);
  });

  it('may have been stopped', async () => {
    const started = join(newFolder(), 'started');
    const spoolFolder = join(newFolder(), 'spool');
    const controller = new AbortController();
    const watcher = watch(join(started, '..'));
    const running = run(`: >${started}; exec sleep 1000`, { spoolFolder, signal: controller.signal });
    while (!existsSync(started)) await once(watcher, 'change');
    watcher.close();
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    expect(readdirSync(spoolFolder)).toEqual([]);
  });

  it.each([
    [{ minFreeBytes: 2 ** 60 }, 'least'],
    [{ expectedSize: 2 ** 60 }, 'last snapshot'],
  ])('is not started without room: %j', async (more, why) => {
    const mark = join(newFolder(), 'ran');
    const { result, spoolFolder } = await run(`: >${mark}`, more);
    expect(result.problems).toMatchObject([{ severity: 'failure', code: 'snapshotter-no-room' }]);
    expect(result.problems[0]?.message).toContain(why);
    expect(result.problems[0]?.message).toContain(spoolFolder);
    expect(existsSync(mark)).toBe(false);
  });

  it('has no spool folder', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, '');
    await expect(run('true', { spoolFolder: file })).rejects.toMatchObject({ code: 'SYSTEM' });
  });
});

describe('a process that a snapshotter leaves behind', () => {
  it('is waited for while it writes, its output open', async () => {
    const { content, taken } = await take('(sleep 0.2; echo late >&$1) & echo early >&$1');
    expect(content).toBe('early\nlate\n');
    expect(taken.problems).toEqual([]);
  });

  it.skipIf(!tellsWriters())('is waited for while it writes, its output closed', async () => {
    const { content, taken } = await take('(sleep 0.2; echo late >&$1) >/dev/null 2>&1 & echo early >&$1');
    expect(content).toBe('early\nlate\n');
    expect(taken.problems).toEqual([]);
  });

  it.skipIf(!tellsWriters())('cannot change the snapshot once that is taken', async () => {
    const folder = newFolder();
    const [go, done] = [join(folder, 'go'), join(folder, 'done')];
    execFileSync('mkfifo', [go]);
    const { taken, content } = await take(
      `(read line <${go}; echo later >&$1; echo XXXX | dd of=/dev/fd/$1 conv=notrunc; : >${done}) >/dev/null 2>&1 &
echo early >&$1`,
      { drainMs: 100 },
    );
    expect(content).toBe('early\n');
    expect(taken.problems).toMatchObject([{ severity: 'failure', code: 'snapshot-still-open' }]);
    const watcher = watch(folder);
    writeFileSync(go, 'go\n');
    while (!existsSync(done)) await once(watcher, 'change');
    watcher.close();
    expect(readFileSync(taken.path, 'utf8')).toBe('early\n');
  });
});

describe('the spool', () => {
  it('goes when the snapshot is disposed of, also twice', async () => {
    const { taken, spoolFolder } = await take('echo x >&$1');
    expect(readdirSync(spoolFolder)).toHaveLength(1);
    await taken.dispose();
    await taken.dispose();
    expect(readdirSync(spoolFolder)).toEqual([]);
  });

  it('of a run that was killed is removed, and nothing else', async () => {
    const { spoolFolder } = await take('echo x >&$1');
    writeFileSync(join(spoolFolder, 'manifest'), '');
    await removeLeftSpools(spoolFolder);
    expect(readdirSync(spoolFolder)).toEqual(['manifest']);
    await removeLeftSpools(join(spoolFolder, 'none'));
  });
});
