import { basename, join } from 'node:path';
import { SysbackupError } from '../errors.js';
import { findExecutables } from '../sources/executables.js';

/**
 * A machine on which nothing says what to back up would store one empty run after the other, each of them complete,
 * and nobody would notice. Throws CONFIG there.
 */
export async function requireSources(confDir: string, uid: number): Promise<void> {
  const folders = ['pickers.d', 'snapshots.d'].map((name) => join(confDir, name));
  const notExecutable: string[] = [];
  for (const folder of folders) {
    const { executables, skipped } = await findExecutables(folder, { uid });
    if (executables.length > 0) return;
    for (const { name, reason } of skipped)
      if (reason === 'not-executable') notExecutable.push(`${basename(folder)}/${name}`);
  }
  const [pickers = ''] = folders;
  const there = notExecutable.length === 0 ? '' : `; there, but not executable: ${notExecutable.join(', ')}`;
  throw new SysbackupError(
    'CONFIG',
    `nothing says what to back up: there is no executable in ${folders.join(' or ')}`,
    { hint: `Make one in ${pickers} that prints paths, and chmod +x it${there}.` },
  );
}
