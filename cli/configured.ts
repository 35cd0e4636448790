import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { type EventListener, type LoadedSettings, SysbackupError, loadSettings } from '../src/index.js';
import type { Session } from './session.js';

export interface Wanted {
  /** --name. */
  backupName?: string | undefined;
  /** Whether a misspelt name in the conf stops the command; else it is a warning. */
  refuseMisspelt?: boolean;
}

/** The conf's settings, its warnings and notes told to the listener. Throws CONFIG. */
export async function configured(
  session: Session,
  onEvent: EventListener,
  { backupName, refuseMisspelt = false }: Wanted = {},
): Promise<LoadedSettings> {
  const { confDir } = session.globals;
  const { env, user, host } = session;
  const loaded = await loadSettings({
    confDir,
    hostname: host,
    env,
    user,
    refuseMisspelt,
    ...(backupName === undefined ? {} : { backupName }),
  });
  for (const message of loaded.warnings) onEvent({ type: 'log', level: 'warning', message });
  for (const message of loaded.notes) onEvent({ type: 'log', level: 'info', message });
  return loaded;
}

/** Says with which options else to name the store, where a command can do without a conf and there is none. */
export function requireConf(session: Session, options = '--bucket, --export or --directory'): void {
  const path = join(session.globals.confDir, 'conf');
  if (existsSync(path)) return;
  throw new SysbackupError('CONFIG', `there is no conf at ${path}`, {
    hint: `Name its folder with --conf-dir, or the store itself with ${options}.`,
  });
}
