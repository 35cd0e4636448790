// oxlint-disable
// Stands in until src/index.ts has all of this.
export { SysbackupError, messageOf, errnoOf } from '../src/errors.js';
export type * from '../src/events.js';
export type { ObjectStore } from '../src/store/port.js';
export type { Settings } from '../src/config/settings.js';
export type { SettingsInForce } from '../src/config/setting-reader.js';
export type { LoadedSettings } from '../src/config/load.js';
export type { RunSummary } from '../src/archive/options.js';
export type { Overwrite, PathAction, RestoreSummary } from '../src/restore/options.js';
export type { StoredRun } from '../src/manifest/runs.js';
export { displayPath } from '../src/files/byte-path.js';
import { textOfPath as text, type BytePath } from '../src/files/byte-path.js';
import type { Settings } from '../src/config/settings.js';
import type { ObjectStore } from '../src/store/port.js';
import type { EventListener, RequestCounts } from '../src/events.js';
import type { RestoreOptions } from '../src/restore/options.js';
import type { LoadSettingsOptions } from '../src/config/load.js';
import type { ArchiveOptions } from '../src/archive/options.js';
import type { ResolveRunOptions } from '../src/manifest/resolve-run.js';
export const textOfPath = (path: string): string | undefined => text(path as BytePath);
export const loadSettings = async (options: LoadSettingsOptions) =>
  (await import('../src/config/load.js')).loadSettings(options);
export const archive = async (options: ArchiveOptions) =>
  (await import('../src/archive/run.js')).archive(options);
export const restore = async (options: RestoreOptions) =>
  (await import('../src/restore/restore.js')).restore(options);
export const resolveRun = async (store: ObjectStore, run: string, options: ResolveRunOptions) =>
  (await import('../src/manifest/resolve-run.js')).resolveRun(store, run, options);
export const findExecutables = async (folder: string, options: { uid: number }) =>
  (await import('../src/sources/executables.js')).findExecutables(folder, options);
export interface OpenedDestination {
  store: ObjectStore;
  requests: () => RequestCounts;
}
export const openDestination = async (
  destination: Settings['destination'],
  options: {
    env: Readonly<Record<string, string | undefined>>;
    user: { uid: number; home: string };
    host: string;
    onEvent?: EventListener;
    signal?: AbortSignal;
    maxRequests?: number;
  },
): Promise<OpenedDestination> => {
  void options;
  if (destination.kind === 's3') throw new Error('no s3 yet');
  const { openDirectoryStore } = await import('../src/store/directory.js');
  const store = await openDirectoryStore({ path: destination.path, create: true });
  return { store, requests: () => ({}) };
};
export type { ListedBackup } from '../src/audit/list.js';
import type { ListBackupsOptions } from '../src/audit/list.js';
export const listBackups = async (store: ObjectStore, options: ListBackupsOptions) =>
  (await import('../src/audit/list.js')).listBackups(store, options);
export type { RestoreSnapshotsSummary } from '../src/restore/snapshots.js';
import type { RestoreSnapshotsOptions } from '../src/restore/snapshots.js';
export const restoreSnapshots = async (options: RestoreSnapshotsOptions) =>
  (await import('../src/restore/snapshots.js')).restoreSnapshots(options);
