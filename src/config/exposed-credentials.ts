import { stat } from 'node:fs/promises';
import type { Settings } from './settings.js';

const READABLE_BY_OTHERS = 0o004;

/** Says that everybody on this machine may read the file with the key, where that is so. */
export async function exposedCredentials(destination: Settings['destination']): Promise<string | undefined> {
  const file = destination.kind === 's3' ? destination.s3.aws.credentialsFile : undefined;
  if (file === undefined) return undefined;
  let mode: number;
  try {
    ({ mode } = await stat(file));
  } catch {
    // Whoever needs it says what is wrong with it.
    return undefined;
  }
  if ((mode & READABLE_BY_OTHERS) === 0) return undefined;
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  return `everybody on this machine may read the key in ${file} (its mode is ${octal}): chmod 0640 ${typed(file)}`;
}

/** As a shell takes it. */
function typed(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
