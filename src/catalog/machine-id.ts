import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';

/**
 * What tells this machine's runs from those of others under the same backup name: derived from `/etc/machine-id`
 * (machine-id(5) asks that the id itself is not shown to others), or from a random number kept in the state
 * directory where there is none.
 */
export function machineId(statePath: string, systemIdPath = '/etc/machine-id'): string {
  const own = readTrimmed(systemIdPath) ?? keptId(statePath);
  return createHmac('sha256', own).update('s3-sysbackup').digest('hex').slice(0, 32);
}

function keptId(statePath: string): string {
  const path = join(statePath, 'machine-id');
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept !== '') return kept;
  } catch (error) {
    // With another id this machine's runs would be a stranger's to it.
    if (errnoOf(error) !== 'ENOENT')
      throw new SysbackupError('SYSTEM', `cannot read this machine's id: ${messageOf(error)}`, {
        hint: `Make ${path} readable for the user that this runs as, or put it back.`,
        cause: error,
      });
  }
  const made = randomBytes(16).toString('hex');
  mkdirSync(statePath, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${made}\n`, { mode: 0o600 });
  return made;
}

function readTrimmed(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
