import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { findExecutables } from '#src/sources/executables.js';
import type { Executable } from '#src/sources/executables.js';

export const isRoot = process.getuid?.() === 0;
/** What the programs under test get as their environment. */
export const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
/** Not 0, so that the tests run in folders of any owner; what root is refused has its own tests. */
export const uid = 12345;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, removed after the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sources-'));
  folders.push(folder);
  return folder;
}

export function writeScript(folder: string, name: string, body: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, mode);
  return path;
}

export async function executableOf(body: string, name = 'program'): Promise<Executable> {
  const folder = newFolder();
  writeScript(folder, name, body);
  const [executable] = (await findExecutables(folder, { uid })).executables;
  if (!executable) throw new Error('no executable was found');
  return executable;
}

/** Whether a process of that id lives: a zombie that waits for init to reap it does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return false;
  }
}
