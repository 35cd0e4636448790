import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export const asRoot = process.geteuid?.() === 0;

/** Where programs are looked for: the tests' own PATH, and where those for administrators lie. */
const FOLDERS = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];

/** The full path of a program, or undefined where this machine has none. */
export function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian's names of the packages that programs come in. */
const PACKAGES = new Map([
  ['rsync', 'rsync'],
  ['setfacl', 'acl'],
  ['setfattr', 'attr'],
  ['setcap', 'libcap2-bin'],
  ['setpriv', 'util-linux'],
]);

/** Installs what is missing of these programs, where root may and the machine has apt; returns what is still missing. */
export function installPrograms(names: readonly string[]): string[] {
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length > 0 && asRoot && findProgram('apt-get') !== undefined) {
    const packages = missing.map((name) => PACKAGES.get(name) ?? name);
    const options = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const;
    spawnSync('apt-get', ['update', '-q'], options);
    spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], options);
  }
  return names.filter((name) => findProgram(name) === undefined);
}
