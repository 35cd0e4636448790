import { SysbackupError } from '../errors.js';
import type { SettingReader } from './setting-reader.js';
import type { ValueKind } from './value-kinds.js';

/** Longer names leave too little of a key's and a file name's length to what stands around them. */
const MAX_BYTES = 200;

/**
 * Throws `CONFIG` where a backup name cannot be a segment of a key and a file's name, or could be taken for a run
 * where the command line takes either (`latest`, `latest~2`, or like a run id).
 */
function checkBackupName(name: string): void {
  const wrong = wrongWith(name);
  if (wrong !== undefined)
    throw new SysbackupError('CONFIG', `the backup name ${JSON.stringify(name)} ${wrong}`, {
      hint: 'Name the backup with [backup] name in the conf or with --name, or with backupName in the library.',
    });
}

const NAME: ValueKind<string> = {
  allowed:
    `a name of at most ${MAX_BYTES} bytes on one line, without a slash, other than ".", ".." and "latest", ` +
    'and not like the name of a run',
  read: (written) => (wrongWith(written) === undefined ? written : undefined),
};

export interface BackupNames {
  /** What the caller asked for. */
  backupName?: string;
  /** Makes the default. */
  hostname: string;
}

/** `[backup] name`, unless the caller names another; else `<hostname>-backup`. Throws CONFIG. */
export function readBackupName(
  reader: SettingReader,
  { backupName, hostname }: BackupNames,
): { name: string; isDefault: boolean } {
  const configured = reader.optional('backup', 'name', NAME);
  if (backupName === undefined && configured !== undefined) return { name: configured, isDefault: false };
  const name = backupName ?? `${hostname}-backup`;
  checkBackupName(name);
  reader.override('backup', 'name', name, backupName === undefined ? 'default' : '--name');
  return { name, isDefault: backupName === undefined };
}

function wrongWith(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'means a folder';
  if (name.includes('/')) return 'holds a slash';
  if (/[\p{Cc}\p{Cs}]/u.test(name)) return 'holds control characters or half a character';
  if (name !== name.trim()) return 'begins or ends with white space';
  if (Buffer.byteLength(name) > MAX_BYTES) return `is longer than ${MAX_BYTES} bytes`;
  if (/^latest(?:~\d+)?$/.test(name) || /^\d{8}T\d{6}Z/.test(name)) return 'reads like the name of a run';
  return undefined;
}
