/**
 * s3-sysbackup as a library: backups of systems to S3 or a directory, written once and locked.
 *
 * Nothing here prints, exits or reads the environment: what the work has to tell comes as events, and environment,
 * clock and store are passed in. Functions load what they need when they are called, so importing this is cheap.
 */
import type { ArchiveOptions, RunSummary } from './archive/options.js';
import type { ListBackupsOptions, ListedBackup } from './audit/list.js';
import type { OpenDestinationOptions, OpenedDestination } from './aws/open-destination.js';
import type { LoadedSettings, LoadSettingsOptions } from './config/load.js';
import type { Settings } from './config/settings.js';
import type { Problem } from './events.js';
import type { ResolveRunOptions } from './manifest/resolve-run.js';
import type { ReadManifestOptions } from './manifest/reader.js';
import type { StoredRun } from './manifest/runs.js';
import type { ManifestLine } from './manifest/types.js';
import type { RestoreOptions, RestoreSummary, RestoreToTarOptions } from './restore/options.js';
import type { RestoreSnapshotsOptions, RestoreSnapshotsSummary } from './restore/snapshots.js';
import type { RunRestoreThroughOptions } from './restore/run-through.js';
import type { FindExecutablesOptions, FoundExecutables } from './sources/executables.js';
import type { ObjectStore } from './store/port.js';

export { errnoOf, type ErrorCode, messageOf, SysbackupError, type SysbackupErrorOptions } from './errors.js';
export type {
  EventListener,
  LogLevel,
  Phase,
  Problem,
  Progress,
  RequestCounts,
  RequestKind,
  RunOutcome,
  SysbackupEvent,
} from './events.js';
export { type BytePath, displayPath, textOfPath } from './files/byte-path.js';
export type { ArchiveOptions, RunSummary } from './archive/options.js';
export type { ListBackupsOptions, ListedBackup } from './audit/list.js';
export type { OpenDestinationOptions, OpenedDestination } from './aws/open-destination.js';
export { defaultStatePath } from './config/conf-path.js';
export type { LoadedSettings, LoadSettingsOptions } from './config/load.js';
export type { SettingsInForce } from './config/setting-reader.js';
export type { ContentSettings, S3Settings, Settings } from './config/settings.js';
export type { ReadManifestOptions } from './manifest/reader.js';
export type { ResolveRunOptions } from './manifest/resolve-run.js';
export type { StoredRun } from './manifest/runs.js';
export type * from './manifest/types.js';
export type {
  Overwrite,
  PathAction,
  RestoreOptions,
  RestoreSummary,
  RestoreToTarOptions,
} from './restore/options.js';
export type { RunRestoreThroughOptions } from './restore/run-through.js';
export type {
  RestoredSnapshot,
  RestoreSnapshotsOptions,
  RestoreSnapshotsSummary,
} from './restore/snapshots.js';
export type {
  Executable,
  FindExecutablesOptions,
  FoundExecutables,
  SkippedFile,
} from './sources/executables.js';
export type * from './store/port.js';

/** Reads and validates `<confDir>/conf`. Throws CONFIG with file, line, setting and what is allowed. */
export async function loadSettings(options: LoadSettingsOptions): Promise<LoadedSettings> {
  return (await import('./config/load.js')).loadSettings(options);
}

/** Opens the store that settings name, with retrying and counting around it. */
export async function openDestination(
  destination: Settings['destination'],
  options: OpenDestinationOptions,
): Promise<OpenedDestination> {
  return (await import('./aws/open-destination.js')).openDestination(destination, options);
}

/** One run: pick, store what is new, renew what is due, and at the very end the manifest. */
export async function archive(options: ArchiveOptions): Promise<RunSummary> {
  return (await import('./archive/run.js')).archive(options);
}

/** The runs of a store. */
export async function listBackups(store: ObjectStore, options: ListBackupsOptions): Promise<ListedBackup[]> {
  return (await import('./audit/list.js')).listBackups(store, options);
}

/** The run that a person means by a run id, a backup name or `latest`. */
export async function resolveRun(
  store: ObjectStore,
  text: string,
  options: ResolveRunOptions = {},
): Promise<StoredRun> {
  return (await import('./manifest/resolve-run.js')).resolveRun(store, text, options);
}

/** A manifest's lines in their order, in batches, each checked; only its end without an error proves the whole. */
export async function* readManifest(
  store: ObjectStore,
  run: { key: string; version: string },
  options: ReadManifestOptions = {},
): AsyncGenerator<ManifestLine[], void> {
  yield* (await import('./manifest/reader.js')).readManifest(store, run.key, run.version, options);
}

/** Brings files back, below a target folder and nowhere else. */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  return (await import('./restore/restore.js')).restore(options);
}

/** Writes files as a tar in the pax format. */
export async function restoreToTar(options: RestoreToTarOptions): Promise<RestoreSummary> {
  return (await import('./restore/tar.js')).restoreToTar(options);
}

/** Fetches a run's snapshots into a folder. */
export async function restoreSnapshots(options: RestoreSnapshotsOptions): Promise<RestoreSnapshotsSummary> {
  return (await import('./restore/snapshots.js')).restoreSnapshots(options);
}

/** Runs the command that a restored snapshot asks for: for a person who has seen it and asked for it. */
export async function runRestoreThrough(options: RunRestoreThroughOptions): Promise<Problem | undefined> {
  return (await import('./restore/run-through.js')).runRestoreThrough(options);
}

/** The pickers or snapshotters in a folder that would run, and what would be passed over and why. */
export async function findExecutables(
  folder: string,
  options: FindExecutablesOptions,
): Promise<FoundExecutables> {
  return (await import('./sources/executables.js')).findExecutables(folder, options);
}
