import { SysbackupError } from '../errors.js';

/** Longer names leave too little of a key's and a file name's length to what stands around them. */
const MAX_BYTES = 200;

/**
 * Throws `CONFIG` where a backup name cannot be a segment of a key and a file's name, or could be taken for a run
 * where the command line takes either (`latest`, `latest~2`, or like a run id).
 */
export function checkBackupName(name: string): void {
  const wrong = wrongWith(name);
  if (wrong !== undefined)
    throw new SysbackupError('CONFIG', `the backup name ${JSON.stringify(name)} ${wrong}`, {
      hint: 'Name the backup with --name, or with backupName in the library.',
    });
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
