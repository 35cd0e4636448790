import { configured, requireConf } from './configured.js';
import {
  type EventListener,
  type OpenDestinationOptions,
  type OpenedDestination,
  type Settings,
  SysbackupError,
  openDestination,
} from '../src/index.js';
import type { Session } from './session.js';
import { type StoreFlags, destinationOf } from './store-flags.js';

export interface ChosenStore {
  destination: Settings['destination'];
  /** The configured backup name, which `latest` means; undefined where there is no conf. */
  backup: string | undefined;
  /** The configured state directory; undefined where there is no conf. */
  statePath: string | undefined;
}

/** The store that a command is to read: the one its options name, else the conf's. Throws USAGE and CONFIG. */
export async function chooseStore(
  session: Session,
  flags: StoreFlags,
  onEvent: EventListener,
): Promise<ChosenStore> {
  const destination = destinationOf(flags, session.workingFolder);
  if (destination !== undefined) {
    if (session.confDirGiven)
      throw new SysbackupError('USAGE', '--conf-dir and the options beside it name several stores', {
        hint: 'Leave out one or the other.',
      });
    return { destination, backup: undefined, statePath: undefined };
  }
  requireConf(session);
  const { settings } = await configured(session, onEvent);
  return { destination: settings.destination, backup: settings.backupName, statePath: settings.statePath };
}

/** A person who has mistyped the endpoint is not to wait for as long as a timer may. */
const WHILE_ONE_LOOKS_ON = { attempts: 2, withinMs: 10_000 };

/** Opens a store for as long as `use` takes. */
export async function withStore<T>(
  session: Session,
  destination: Settings['destination'],
  options: Pick<OpenDestinationOptions, 'create' | 'maxRequests' | 'assume'> & { onEvent: EventListener },
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
