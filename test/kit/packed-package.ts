import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/** This package, packed and installed in a folder that holds nothing else. */
export interface InstalledPackage {
  /** To be removed by whoever asked for it. */
  folder: string;
  /** `node_modules/s3-sysbackup` in it. */
  path: string;
  /** The built command in it. */
  main: string;
}

/**
 * Packs the package as it is built, and unpacks it where npm would install it. The packages that it stands on are
 * links to those here, so that no registry is asked.
 */
export async function installPackage(): Promise<InstalledPackage> {
  const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-installed-'));
  // `prepare` would build under the feet of the other tests.
  const packed = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const { stdout } = await run('npm', packed, {
    cwd: ROOT,
    env: { ...process.env, npm_config_cache: folder },
  });
  const modules = join(folder, 'node_modules');
  const path = join(modules, 's3-sysbackup');
  mkdirSync(path, { recursive: true });
  await run('tar', ['-xzf', join(folder, stdout.trim()), '-C', path, '--strip-components=1']);
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  return { folder, path, main: join(path, 'dist/cli/main.js') };
}
