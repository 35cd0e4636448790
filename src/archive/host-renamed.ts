import { machineId } from '../catalog/machine-id.js';
import { otherNames } from '../catalog/other-names.js';
import type { Settings } from '../config/settings.js';
import type { ObjectStore } from '../store/port.js';

export interface HostRenamedOptions {
  settings: Settings;
  store: ObjectStore;
  systemIdPath?: string | undefined;
}

/**
 * A warning where nobody chose the backup name and this machine has stored under another one in this store: with its
 * host name, its backup name has changed too, and what stands under the old one is continued by nobody.
 */
export function hostRenamed({ settings, store, systemIdPath }: HostRenamedOptions): string | undefined {
  const { backupName, backupNameIsDefault, statePath } = settings;
  if (backupNameIsDefault !== true) return undefined;
  const others = otherNames(statePath, store.identity, backupName);
  if (others.length === 0) return undefined;
  // A state directory may have come from another machine.
  const machine = machineId(statePath, systemIdPath);
  const names = others.filter((other) => other.machine === machine).map((other) => other.backupName);
  if (names.length === 0) return undefined;
  return (
    `this machine stores as ${backupName}, after its host name, and has stored in ${store.description} as ` +
    `${names.sort().join(', ')} too: set [backup] name in the conf to the one that it is to have`
  );
}
