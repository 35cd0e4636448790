import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../kit/temporary.js';

/** A file as `odd_files.py` takes it. */
export interface OddFile {
  /** What its stat says. */
  size: number;
  content: string;
  /** How often the content stands there. Default 1. */
  times?: number;
  ino?: number;
  nlink?: number;
  /** Seconds. */
  mtime?: number;
  ctime?: number;
  /** Names of errnos. */
  open?: string;
  read?: string;
  listxattr?: string;
  /** Whether reading makes the stated size the length. */
  grows?: boolean;
}

// Debian's own: its package brings no module for another.
const PYTHON = '/usr/bin/python3';

const isRoot = process.geteuid?.() === 0;
const hasModule =
  ['fusepy', 'fuse'].some((name) => spawnSync(PYTHON, ['-c', `import ${name}`]).status === 0) &&
  existsSync('/dev/fuse');
export const canMount = isRoot && hasModule;
if (process.env['CI'] && !canMount)
  throw new Error('this needs root, /dev/fuse, and the Debian package python3-fusepy');

/** A folder in which just these files are; unmounted at the test's end. */
export async function mountOddFiles(files: Record<string, OddFile>): Promise<string> {
  const folder = temporaryFolder();
  await mount(folder, ['odd_files.py', folder], JSON.stringify(files));
  return folder;
}

/** A folder that shows what is in another, all files with one inode number; unmounted at the test's end. */
export async function mountWithOneInode(shown: string): Promise<string> {
  const folder = temporaryFolder();
  await mount(folder, ['one_inode.py', shown, folder], '');
  return folder;
}

async function mount(folder: string, [script = '', ...args]: string[], input: string): Promise<void> {
  const outside = statSync(folder).dev;
  const path = fileURLToPath(new URL(`./${script}`, import.meta.url));
  const server = spawn(PYTHON, [path, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = once(server, 'exit');
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  onTestFinished(async () => {
    spawnSync('umount', ['--lazy', folder]);
    server.kill();
    await ended;
  });
  server.stdin.end(input);
  // A mount tells nobody.
  while (statSync(folder).dev === outside) {
    if (server.exitCode !== null) throw new Error(`no file system was mounted: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
