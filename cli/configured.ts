import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { type EventListener, type LoadedSettings, SysbackupError, loadSettings } from '../src/index.js';
import type { Session } from './session.js';

/** The conf's settings, its warnings told to the listener. Throws CONFIG. */
export async function configured(
  session: Session,
  onEvent: EventListener,
  backupName?: string,
): Promise<LoadedSettings> {
  const { confDir } = session.globals;
  const { env, user, host } = session;
  const loaded = await loadSettings({
    confDir,
    hostname: host,
    env,
    user,
    ...(backupName === undefined ? {} : { backupName }),
  });
  for (const message of loaded.warnings) onEvent({ type: 'log', level: 'warning', message });
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
