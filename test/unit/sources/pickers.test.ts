import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, symlinkSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { pathFromText } from '#src/files/byte-path.js';
import { runPickers } from '#src/sources/pickers.js';
import type { PickerResult, PickersOptions } from '#src/sources/pickers.js';
import { env, isAlive, newFolder, uid, writeScript } from './script-folder.js';

interface Ran {
  results: PickerResult[];
  paths: string[];
  log: string[];
}

async function run(folder: string, more: Partial<PickersOptions> = {}): Promise<Ran> {
  const ran: Ran = { results: [], paths: [], log: [] };
  ran.results = await runPickers({
    folder,
    uid,
    env,
    onPaths: (paths) => void ran.paths.push(...paths.paths()),
    onLog: (picker, line) => void ran.log.push(`${picker}: ${line}`),
    ...more,
  });
  return ran;
}

async function runOne(
  body: string,
  more: Partial<PickersOptions> = {},
): Promise<Ran & { one: PickerResult }> {
  const folder = newFolder();
  writeScript(folder, 'p', body);
  const ran = await run(folder, more);
  const [one] = ran.results;
  if (!one) throw new Error('no picker ran');
  return { ...ran, one };
}

/** Resolves when a file appears in a folder. */
async function appears(path: string): Promise<void> {
  const watcher = watch(join(path, '..'));
  try {
    while (!existsSync(path)) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

describe('runPickers', () => {
  it('runs them one after another in name order and hands over what they print', async () => {
    const folder = newFolder();
    const order = join(folder, '.order');
    writeScript(folder, '20-b', `echo b >>${order}; printf '/b1\\n/b2'`);
    writeScript(folder, '10-a', `sleep 0.1; echo a >>${order}; printf '/a\\0/with\\nnewline\\0'`);
    const { results, paths } = await run(folder);
    expect(paths).toEqual(['/a', '/with\nnewline', '/b1', '/b2']);
    expect(readFileSync(order, 'utf8')).toBe('a\nb\n');
    expect(results).toEqual([
      { name: '10-a', printed: 2, end: { kind: 'exited', code: 0 }, problems: [] },
      { name: '20-b', printed: 2, end: { kind: 'exited', code: 0 }, problems: [] },
    ]);
  });

  it('gives them `/`, no input, the environment it is told, and nothing else', async () => {
    const { paths } = await runOne('pwd; cat; echo "/$GREETING"; echo "/home=$HOME"', {
      env: { ...env, GREETING: 'hello' },
    });
    expect(paths).toEqual(['/', '/hello', '/home=']);
    // What this process inherited itself is passed on, whoever starts a child.
    const inherited = execFileSync('ls', ['/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const open = await runOne('ls /proc/self/fd | sed s:^:/:');
    expect(open.paths).toEqual(
      inherited
        .toString()
        .trim()
        .split('\n')
        .map((fd) => `/${fd}`),
    );
  });

  it('lets them open /dev/stdout and /dev/stderr', async () => {
    const { paths, log } = await runOne(
      'echo /x >/dev/stdout; echo oops >/dev/stderr; echo /y | tee /dev/stderr',
    );
    expect(paths).toEqual(['/x', '/y']);
    expect(log).toEqual(['p: oops', 'p: /y']);
  });

  it('hands the bytes of names over as they are', async () => {
    const { paths } = await runOne("printf '/a\\377\\n/\\303\\244\\n'");
    expect(paths).toEqual(['/a\xff', pathFromText('/ä')]);
  });

  it('reads no more until the paths are dealt with', async () => {
    const folder = newFolder();
    const finished = join(folder, '.finished');
    writeScript(folder, 'p', `yes /some/path/of/thirty/two/bytes/ | head -n 200000; : >${finished}`);
    let count = 0;
    let busy = false;
    await run(folder, {
      onPaths: async (paths) => {
        expect(busy).toBe(false);
        busy = true;
        if (count === 0) {
          for (let turns = 0; turns < 200; turns++) await turn();
          expect(existsSync(finished)).toBe(false);
        }
        count += paths.count;
        busy = false;
      },
    });
    expect(existsSync(finished)).toBe(true);
    expect(count).toBe(200_000);
  });

  it('sends standard error to the log line by line, bounded and harmless to a terminal', async () => {
    const { log } = await runOne(
      `printf 'one\\n\\033[31mred\\n10%%\\r20%%\\r\\nlast' >&2; printf '%05000d\\n' 0 >&2; echo /x`,
    );
    expect(log.slice(0, 4)).toEqual(['p: one', 'p: \\x1b[31mred', 'p: 10%', 'p: 20%']);
    expect(log[4]).toMatch(/^p: last0+ …$/);
    expect(log[4]?.length).toBeLessThan(4200);
  });

  it('reports relative paths and records that are too long, and goes on', async () => {
    const { one, paths } = await runOne(`echo etc/passwd; printf '/%070000d\\n' 0; echo /ok`);
    expect(paths).toEqual(['/ok']);
    expect(one.printed).toBe(1);
    expect(one.problems.map(({ severity, code }) => [severity, code])).toEqual([
      ['failure', 'picker-relative-path'],
      ['failure', 'picker-long-record'],
    ]);
    expect(one.problems[0]?.message).toContain('etc/passwd');
    expect(one.problems[1]?.message).toContain('/0000');
  });

  it('makes thousands of refused records few problems', async () => {
    const { one } = await runOne('yes relative | head -n 5000');
    expect(one.problems).toHaveLength(100);
    expect(one.problems.at(-1)?.message).toContain('4901');
  });

  it('throws what the callback throws, and stops the picker', async () => {
    const failing = runOne('yes /x', {
      onPaths: () => {
        throw new Error('the disk is full');
      },
    });
    await expect(failing).rejects.toThrow('the disk is full');
  });

  it('takes 127,000 paths', async () => {
    const path = `/${'d'.repeat(78)}`;
    const { one } = await runOne(`yes ${path} | head -n 127000`, { onPaths: () => {} });
    expect(one.printed).toBe(127_000);
  });
});

describe('a picker that fails', () => {
  it('is a problem with its last lines, keeps what it printed, and the next one runs', async () => {
    const folder = newFolder();
    writeScript(folder, 'a', 'echo /a; echo "cannot read /srv" >&2; exit 3');
    writeScript(folder, 'b', 'echo /b');
    const { results, paths } = await run(folder);
    expect(paths).toEqual(['/a', '/b']);
    expect(results[0]?.end).toEqual({ kind: 'exited', code: 3 });
    expect(results[0]?.problems).toMatchObject([{ severity: 'broken', code: 'picker-failed', source: 'a' }]);
    expect(results[0]?.problems[0]?.message).toContain('cannot read /srv');
    expect(results[1]?.problems).toEqual([]);
  });

  it('may be ended by a signal', async () => {
    const { one } = await runOne('kill -SEGV $$');
    expect(one.end).toEqual({ kind: 'killed', signal: 'SIGSEGV' });
    expect(one.problems[0]?.message).toContain('SIGSEGV');
  });

  it('may have no interpreter', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'p'), '#!/nonexistent/python9\n');
    chmodSync(join(folder, 'p'), 0o755);
    const { results } = await run(folder);
    expect(results[0]?.end.kind).toBe('not-started');
    expect(results[0]?.problems).toMatchObject([{ severity: 'broken', code: 'picker-failed' }]);
    expect(results[0]?.problems[0]?.message).toContain('/nonexistent/python9');
  });

  it('may be a link that leads nowhere', async () => {
    const folder = newFolder();
    symlinkSync('/nonexistent', join(folder, 'p'));
    const { results } = await run(folder);
    expect(results[0]?.problems[0]?.message).toContain('leads nowhere');
  });

  it('is stopped after its time, with all it started', async () => {
    const folder = newFolder();
    const pidFile = join(folder, '.pid');
    writeScript(folder, 'p', `echo /a; printf /half; sleep 1000 & echo $! >${pidFile}; wait`);
    const { results, paths } = await run(folder, { timeoutMs: 300 });
    expect(paths).toEqual(['/a']);
    expect(results[0]?.end).toEqual({ kind: 'timeout', afterMs: 300 });
    expect(results[0]?.problems[0]?.message).toContain('0.3 s');
    await vi.waitFor(() => expect(isAlive(Number(readFileSync(pidFile, 'utf8')))).toBe(false));
  });

  it('is killed where it ignores SIGTERM', async () => {
    const folder = newFolder();
    const pidFile = join(folder, '.pid');
    writeScript(folder, 'p', `trap '' TERM; echo $$ >${pidFile}; while :; do sleep 0.05; done`);
    const { results } = await run(folder, { timeoutMs: 200, graceMs: 100 });
    expect(results[0]?.end.kind).toBe('timeout');
    await vi.waitFor(() => expect(isAlive(Number(readFileSync(pidFile, 'utf8')))).toBe(false));
  });

  it('does not hang the run by a process it leaves behind with its output open', async () => {
    const folder = newFolder();
    const pidFile = join(folder, '.pid');
    writeScript(folder, 'p', `echo /a; sleep 1000 & echo $! >${pidFile}`);
    const { results, paths } = await run(folder, { drainMs: 100 });
    process.kill(Number(readFileSync(pidFile, 'utf8')));
    expect(paths).toEqual(['/a']);
    expect(results[0]?.end).toEqual({ kind: 'exited', code: 0 });
    expect(results[0]?.problems).toMatchObject([{ severity: 'broken', code: 'picker-failed' }]);
    expect(results[0]?.problems[0]?.message).toContain('left behind');
  });

  it('nor by one that never stops printing', async () => {
    const { one } = await runOne('yes /flood &', { onPaths: () => {}, drainMs: 600_000 });
    expect(one.problems[0]?.message).toContain('left behind');
  });

  it('is no failure where what it left behind ends in time', async () => {
    const { one, paths } = await runOne('(sleep 0.1; echo /late) & echo /early');
    expect(paths).toEqual(['/early', '/late']);
    expect(one.problems).toEqual([]);
  });
});

describe('stopping', () => {
  it('ends the picker and throws ABORTED', async () => {
    const folder = newFolder();
    const pidFile = join(folder, '.pid');
    writeScript(folder, 'p', `echo $$ >${pidFile}.new; mv ${pidFile}.new ${pidFile}; exec sleep 1000`);
    writeScript(folder, 'q', `: >${folder}/.q-ran`);
    const controller = new AbortController();
    const running = run(folder, { signal: controller.signal });
    await appears(pidFile);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    await vi.waitFor(() => expect(isAlive(Number(readFileSync(pidFile, 'utf8')))).toBe(false));
    expect(existsSync(join(folder, '.q-ran'))).toBe(false);
  });

  it('ends waiting for what a picker left behind', async () => {
    const folder = newFolder();
    const started = join(folder, '.started');
    writeScript(folder, 'p', `sleep 1000 & echo /a; : >${started}`);
    const controller = new AbortController();
    const running = run(folder, { signal: controller.signal, drainMs: 600_000 });
    await appears(started);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('starts nothing once aborted', async () => {
    const folder = newFolder();
    writeScript(folder, 'p', `: >${folder}/.ran`);
    await expect(run(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(existsSync(join(folder, '.ran'))).toBe(false);
  });
});

describe('odd names', () => {
  it('runs a picker whose name is no UTF-8 and ends in a newline', async () => {
    const folder = newFolder();
    const path = Buffer.concat([Buffer.from(`${folder}/it's `), Buffer.from([0xff, 0x0a])]);
    writeFileSync(path, '#!/bin/sh\necho "/ran"\n');
    chmodSync(path, 0o755);
    const { results, paths } = await run(folder);
    expect(results).toMatchObject([{ name: "it's \\xff\\x0a", end: { kind: 'exited', code: 0 } }]);
    expect(paths).toEqual(['/ran']);
  });
});
