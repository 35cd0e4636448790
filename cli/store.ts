import type { Command } from 'commander';
import { configured, requireConf } from './configured.js';
import {
  type AssumeRequest,
  type EventListener,
  type OpenDestinationOptions,
  type OpenedDestination,
  type ResolveRunOptions,
  type Settings,
  SysbackupError,
  openDestination,
} from '../src/index.js';
import type { Session } from './session.js';
import { addRoleOptions, assumeRequest, readAs, type RoleFlags } from './role.js';
import { addStoreOptions, destinationOf, type StoreFlags } from './store-flags.js';

/** Options of every command that reads a store. */
export type ReadFlags = StoreFlags & RoleFlags;

/** Which store to read, and with whose rights. */
export function addReadOptions(command: Command): void {
  addStoreOptions(command);
  addRoleOptions(command);
}

export interface ChosenStore {
  destination: Settings['destination'];
  /** The configured backup name, which `latest` means; undefined where there is no conf. */
  backup: ResolveRunOptions['backup'];
  /** The configured state directory; undefined where there is no conf. */
  statePath: string | undefined;
  /** The role to read it under, and MFA; undefined where none is asked for. */
  assume: AssumeRequest | undefined;
}

/**
 * The store that a command is to read: the one its options name, else the conf's. Credentials that the options name
 * replace the conf's. Throws USAGE and CONFIG.
 */
export async function chooseStore(
  session: Session,
  flags: ReadFlags,
  onEvent: EventListener,
): Promise<ChosenStore> {
  const assume = assumeRequest(flags, session);
  const destination = destinationOf(flags, session.workingFolder);
  if (destination !== undefined) {
    if (session.confDirGiven)
      throw new SysbackupError('USAGE', '--conf-dir and the options beside it name several stores', {
        hint: 'Leave out one or the other.',
      });
    return { destination: readAs(destination, flags), backup: undefined, statePath: undefined, assume };
  }
  requireConf(session);
  const { settings } = await configured(session, onEvent);
  return {
    destination: readAs(settings.destination, flags),
    backup: settings.backupNameIsDefault === true ? { byDefault: settings.backupName } : settings.backupName,
    statePath: settings.statePath,
    assume,
  };
}

/** A person who has mistyped the endpoint is not to wait for as long as a timer may. */
const WHILE_ONE_LOOKS_ON = { attempts: 2, withinMs: 10_000 };

/** Opens a store for as long as `use` takes. */
export async function withStore<T>(
  session: Session,
  destination: Settings['destination'],
  options: Pick<OpenDestinationOptions, 'archiving' | 'maxRequests' | 'assume'> & { onEvent: EventListener },
  use: (opened: OpenedDestination) => Promise<T>,
): Promise<T> {
  const { env, userAtHost, signal, terminal } = session;
  const opened = await openDestination(destination, {
    env,
    userAtHost,
    signal,
    ...(terminal ? { firstAnswer: WHILE_ONE_LOOKS_ON } : {}),
    ...options,
  });
  try {
    return await use(opened);
  } finally {
    await opened.store.close();
  }
}
