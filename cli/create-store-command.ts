import { type Settings, shellWord } from '../src/index.js';
import type { Session } from './session.js';

/**
 * What a person types, once, to have a directory taken as a store that `archive` refuses. A service that is not root's is
 * not started by hand, as what root would make its user could not write: there write-config does it.
 */
export function createStoreCommand(
  session: Session,
  destination: Settings['destination'],
  name: string | undefined,
): string {
  const { globals, confDirGiven, env, user } = session;
  const conf = confDirGiven ? ['--conf-dir', globals.confDir] : [];
  const isService = env['INVOCATION_ID'] !== undefined && user.uid !== 0;
  const words =
    isService && destination.kind === 'directory'
      ? ['write-config', ...conf, '--directory', destination.path, '--no-systemd-unit']
      : ['archive', ...conf, ...(name === undefined ? [] : ['--name', name]), '--create-store'];
  return `${isService ? 'sudo ' : ''}s3-sysbackup ${words.map(shellWord).join(' ')}`;
}
