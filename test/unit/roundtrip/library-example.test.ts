import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

const PACKAGE = dirname(fileURLToPath(import.meta.resolve('../../../package.json')));
const EXAMPLES = join(PACKAGE, 'examples');

/** A project of somebody's that has the package in its node_modules, the example, and the quickstart's conf. */
function project(): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(PACKAGE, join(folder, 'node_modules', 's3-sysbackup'));
  copyFileSync(join(EXAMPLES, 'library', 'backup.mjs'), join(folder, 'backup.mjs'));
  const isLeft = (path: string): boolean => /quickstart\/(?:store|state|restored)$/.test(path);
  cpSync(join(EXAMPLES, 'quickstart'), join(folder, 'conf'), {
    recursive: true,
    filter: (path) => !isLeft(path),
  });
  return folder;
}

interface Running {
  child: ChildProcess;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function start(folder: string, ...args: string[]): Running {
  const child = spawn(process.execPath, ['backup.mjs', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text;
    });
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...said })) };
}

describe('the example of a program that uses the library', () => {
  it('backs up, reads the manifest and restores', async () => {
    const folder = project();
    const { code, stdout, stderr } = await start(folder, 'conf', 'back').ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^run \S+ is complete: \d+ objects stored, locked until \d{4}-/m);
    expect(stdout).toMatch(/^the longest file: \/.+, \d+ bytes$/m);
    expect(stderr).toContain('content ...');
    const original = join(folder, 'conf', 'files', 'read-me.txt');
    expect(readFileSync(join(folder, 'back', 'files', original))).toEqual(readFileSync(original));
    expect(readdirSync(join(folder, 'back', 'snapshots'))).toContain('inventory');
    const again = await start(folder, 'conf', 'back').ended;
    expect(again.code, again.stderr).toBe(0);
  });

  it('stops at a signal, with the code of the error, and leaves no manifest', async () => {
    const folder = project();
    // Without it, the run may have ended before the signal comes.
    const picker = join(folder, 'conf', 'pickers.d', '30-never-ends');
    writeFileSync(picker, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
    const { child, ended } = start(folder, 'conf', 'back');
    child.stderr?.on('data', (text: string) => {
      if (text.includes('pick ...')) child.kill('SIGINT');
    });
    const { code, stderr } = await ended;
    expect(stderr).toContain('ABORTED: ');
    expect(code).toBe(1);
    expect(existsSync(join(folder, 'conf', 'store', 'manifests'))).toBe(false);
  });

  it('says what is wrong with a conf, and what to do', async () => {
    const folder = project();
    const { code, stderr } = await start(folder, 'nowhere', 'back').ended;
    expect(stderr).toMatch(/^CONFIG: .*nowhere\/conf\nhint: /m);
    expect(code).toBe(2);
  });
});
