import {
  type LoadedSettings,
  misspeltError,
  requireSources,
  SysbackupError,
  type UnknownName,
} from '../src/index.js';
import type { Session } from './session.js';

/** What the machine does with its conf. */
export type Purpose = 'archive' | 'renew' | 'restore';

export const PURPOSES = ['archive', 'renew', 'restore'] as const satisfies readonly Purpose[];

/**
 * Why `check-config` is not content with a conf: what stops an archive, in its words; names that nothing reads; a key
 * that everybody may read.
 */
export async function complaintsOf(
  { settings, unknownNames, exposedCredentials }: LoadedSettings,
  purpose: Purpose,
  session: Session,
): Promise<SysbackupError[]> {
  const complaints = [
    await misspeltError(unknownNames),
    unknownError(unknownNames),
    exposedCredentials === undefined ? undefined : new SysbackupError('CONFIG', exposedCredentials),
    purpose === 'archive' ? await nothingToBackUp(settings.confDir, session.user.uid) : undefined,
  ];
  return complaints.filter((complaint) => complaint !== undefined);
}

function unknownError(names: readonly UnknownName[]): SysbackupError | undefined {
  const places = names.filter(({ kind }) => kind === 'unknown').map(({ place }) => place);
  if (places.length === 0) return undefined;
  return new SysbackupError('CONFIG', `not known, and ignored by all commands: ${places.join('; ')}`, {
    hint: 'Take it out; what is not for this program can stand in a section [x-…].',
  });
}

async function nothingToBackUp(confDir: string, uid: number): Promise<SysbackupError | undefined> {
  try {
    await requireSources(confDir, uid);
    return undefined;
  } catch (error) {
    if (error instanceof SysbackupError) return error;
    throw error;
  }
}
