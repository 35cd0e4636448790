/**
 * s3-sysbackup as a library: backups of systems to S3 or a directory, written once and locked.
 *
 * Nothing here prints, exits or reads the environment: what the work has to tell comes as events, and environment,
 * clock and store are passed in. Functions load what they need when they are called, so importing this is cheap.
 */
import type { ForeseenBundleBelow } from './archive/bundle-below.js';
import type { ArchiveOptions, RunSummary } from './archive/options.js';
import type { HostRenamedOptions } from './archive/host-renamed.js';
import type { SysbackupError } from './errors.js';
import type { ListBackupsOptions, ListedBackup } from './audit/list.js';
import type { ExpireOptions, ExpireResult } from './audit/expire-options.js';
import type { RebuildCatalogOptions, RebuiltCatalog } from './audit/rebuild-options.js';
import type { MendRunOptions } from './audit/mend-run.js';
import type { RenewOptions, RenewResult } from './audit/renew-options.js';
import type { VerifyOptions, VerifyResult } from './audit/verify-options.js';
import type { CreateResourcesOptions, PlannedResources, ResourcesSummary } from './aws/create-resources.js';
import type { OpenContentOptions, OpenedContent } from './audit/cat.js';
import type { Change, DiffRunsOptions } from './audit/diff.js';
import type { ListEntriesOptions } from './audit/ls.js';
import type { Lifecycle } from './aws/lifecycle.js';
import type { OpenDestinationOptions, OpenedDestination } from './aws/open-destination.js';
import type { UpdateResourcesOptions } from './aws/update-resources.js';
import type { LoadedSettings, LoadSettingsOptions } from './config/load.js';
import type { UnknownName } from './config/unknown-names.js';
import type { GzipLibrary } from './config/compression.js';
import type { ContentSettings, S3Settings, Settings } from './config/settings.js';
import type { Problem } from './events.js';
import type { ResolveRunOptions } from './manifest/resolve-run.js';
import type { ReadManifestOptions } from './manifest/reader.js';
import type { StoredRun } from './manifest/runs.js';
import type { ManifestEntry, ManifestLine } from './manifest/types.js';
import type { RestoreOptions, RestoreSummary, RestoreToTarOptions } from './restore/options.js';
import type { RestoreSnapshotsOptions, RestoreSnapshotsSummary } from './restore/snapshots.js';
import type { RunRestoreThroughOptions } from './restore/run-through.js';
import type { ThawOptions, ThawSummary } from './restore/thaw.js';
import type { FindExecutablesOptions, FoundExecutables } from './sources/executables.js';
import type { ObjectStore } from './store/port.js';
import type { CarryOutOptions } from './system/carry-out.js';
import type { WriteConfigOptions, WriteConfigSummary } from './system/write-config-options.js';

export {
  combinedExitCode,
  errnoOf,
  type ErrorCode,
  EXIT_CODES,
  exitCodeOfOutcome,
  type ExitCodeMeaning,
  messageOf,
  SysbackupError,
  type SysbackupErrorOptions,
} from './errors.js';
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
export { documentPath } from './documents.js';
export { type BytePath, displayPath, textOfPath } from './files/byte-path.js';
export { shellWord } from './shell-word.js';
export type { ArchiveOptions, PathToStore, RunEstimate, RunPrice, RunSummary } from './archive/options.js';
export type { AdmittedDirectory, Archiving } from './archive/admit-directory.js';
export type { BundleBelowReason, ForeseenBundleBelow } from './archive/bundle-below.js';
export type { OpenContentOptions, OpenedContent } from './audit/cat.js';
export type { ChangedPart } from './audit/changed-parts.js';
export type { Change, DiffRunsOptions } from './audit/diff.js';
export type { ListBackupsOptions, ListedBackup } from './audit/list.js';
export type { MendRunOptions } from './audit/mend-run.js';
export type { Mended } from './audit/mender.js';
export type {
  RenewedMachine,
  RenewedRun,
  RenewLimits,
  RenewOptions,
  RenewReason,
  RenewResult,
} from './audit/renew-options.js';
export type {
  Finding,
  FindingKind,
  SetAsideOptions,
  ShortestLock,
  VerifiedRun,
  VerifyOptions,
  VerifyResult,
} from './audit/verify-options.js';
export type { ExpireOptions, ExpireResult, KeepReason, KeptRun } from './audit/expire-options.js';
export type { RebuildCatalogOptions, RebuiltCatalog } from './audit/rebuild-options.js';
export type { AwsAccess } from './aws/access.js';
export type { CreateResourcesOptions, PlannedResources, ResourcesSummary } from './aws/create-resources.js';
export type { ListEntriesOptions } from './audit/ls.js';
export type { AssumeRequest } from './aws/credentials.js';
export type { Lifecycle } from './aws/lifecycle.js';
export type { OpenDestinationOptions, OpenedDestination, StorePatience } from './aws/open-destination.js';
export { defaultStatePath } from './config/conf-path.js';
export type { ResourceParameters } from './aws/resource-parameters.js';
export type { ParameterChange, ResourceChange, UpdateResourcesOptions } from './aws/update-resources.js';
export type { LoadedSettings, LoadSettingsOptions } from './config/load.js';
export type { SettingsInForce } from './config/setting-reader.js';
export type { UnknownName } from './config/unknown-names.js';
export type { Encoding, GzipLibrary } from './config/compression.js';
export type { ContentSettings, S3Settings, Settings } from './config/settings.js';
export type { ReadManifestOptions } from './manifest/reader.js';
export type { ResolveRunOptions } from './manifest/resolve-run.js';
export type { HiddenRun } from './manifest/hidden-runs.js';
export type { JudgedHistory, RunHistory } from './manifest/run-history.js';
export type { StoredRun } from './manifest/runs.js';
export { entryPath, linkTarget } from './manifest/paths.js';
export type * from './manifest/types.js';
export type {
  Overwrite,
  PathAction,
  RestoreOptions,
  RestoreSummary,
  RestoreToTarOptions,
} from './restore/options.js';
export { type FrozenCount, type FrozenObject, FrozenObjects } from './restore/frozen.js';
export type { ThawOptions, ThawSummary } from './restore/thaw.js';
export type { ColdStorage, Thawed, ThawRequest, ThawTier } from './store/cold.js';
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
export type { FirstAnswer } from './store/retry.js';
export type { S3Timeouts } from './store/s3-client.js';
export {
  isPriced,
  type ListPrices,
  type PricedStorageClass,
  priceOfRequests,
  priceOfThawing,
  S3_LIST_PRICES,
  type StorageClassPrices,
  storagePricePerMonth,
} from './store/prices.js';
export type { CarryOutOptions } from './system/carry-out.js';
export type { PasswordSource } from './system/ccrypt.js';
export { describeStep, formatSteps, type Step } from './system/steps.js';
export type {
  WantedCredentials,
  WantedUnits,
  WriteConfigOptions,
  WriteConfigSummary,
} from './system/write-config-options.js';

/** Reads and validates `<confDir>/conf`. Throws CONFIG with file, line, setting and what is allowed. */
export async function loadSettings(options: LoadSettingsOptions): Promise<LoadedSettings> {
  return (await import('./config/load.js')).loadSettings(options);
}

/**
 * The error that {@link LoadSettingsOptions.refuseMisspelt} has thrown: for names in a conf that are nearly known ones.
 * Undefined where there are none.
 */
export async function misspeltError(names: readonly UnknownName[]): Promise<SysbackupError | undefined> {
  return (await import('./config/unknown-names.js')).misspeltError(names);
}

/**
 * A warning where nobody chose the backup name and this machine has stored under another one in this store, as after a
 * change of its host name. `archive` tells it too.
 */
export async function hostRenamed(options: HostRenamedOptions): Promise<string | undefined> {
  return (await import('./archive/host-renamed.js')).hostRenamed(options);
}

/** What to know about the storage class that settings choose: charged for longer than it is kept, or not to be read at once. */
export async function storageClassWarnings(settings: Settings): Promise<string[]> {
  return (await import('./config/storage-class.js')).storageClassWarnings(settings);
}

/**
 * What compresses with gzip on this system under a setting. Throws CONFIG where that has to be libdeflate and the system
 * has none.
 */
export async function gzipLibraryFor(setting: ContentSettings['gzipLibrary']): Promise<GzipLibrary> {
  return (await import('./content/gzip-library.js')).gzipLibraryFor(setting);
}

/**
 * Throws CONFIG where no executable says what to back up. {@link archive} does that too; who opens a directory with
 * `archiving` asks before, so that no store is made for nothing.
 */
export async function requireSources(confDir: string, uid: number): Promise<void> {
  return (await import('./archive/require-sources.js')).requireSources(confDir, uid);
}

/** Below which size the next run will put files into bundles, and why. Without a store it is not asked. */
export async function foreseeBundleBelow(
  settings: Settings,
  store?: Pick<ObjectStore, 'identity' | 'list'>,
): Promise<ForeseenBundleBelow> {
  return (await import('./archive/bundle-below.js')).foreseeBundleBelow(settings, store);
}

/** Opens the store that settings name, with retrying and counting around it: to read, or, with `archiving`, to store. */
export async function openDestination(
  destination: Settings['destination'],
  options: OpenDestinationOptions,
): Promise<OpenedDestination> {
  return (await import('./aws/open-destination.js')).openDestination(destination, options);
}

/** Reads a bucket's lifecycle rules, as far as that is allowed, and says what to know about them. */
export async function lifecycleOf(
  s3: S3Settings,
  options: Pick<OpenDestinationOptions, 'env' | 'userAtHost' | 'assume' | 'signal'>,
): Promise<Lifecycle> {
  return (await import('./aws/lifecycle.js')).lifecycleOf(s3, options);
}

/** One run: pick, store what is new, renew what is due, and at the very end the manifest. */
export async function archive(options: ArchiveOptions): Promise<RunSummary> {
  return (await import('./archive/run.js')).archive(options);
}

/** The runs of a store. */
export async function listBackups(store: ObjectStore, options: ListBackupsOptions): Promise<ListedBackup[]> {
  return (await import('./audit/list.js')).listBackups(store, options);
}

/** The run that a person means by a run id, a backup name, `latest`, `latest~2`, a date or the beginning of an id. */
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

/** A run's entries, or those at and below one path, in batches. */
export async function* listEntries(options: ListEntriesOptions): AsyncGenerator<ManifestEntry[], void> {
  yield* (await import('./audit/ls.js')).listEntries(options);
}

/** What one run has and the other has not, or has differently, in batches. */
export async function* diffRuns(options: DiffRunsOptions): AsyncGenerator<Change[], void> {
  yield* (await import('./audit/diff.js')).diffRuns(options);
}

/** One file's or snapshot's bytes, checked while they come. */
export async function openContent(options: OpenContentOptions): Promise<OpenedContent> {
  return (await import('./audit/cat.js')).openContent(options);
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

/** Asks for frozen objects to be made readable. */
export async function thaw(options: ThawOptions): Promise<ThawSummary> {
  return (await import('./restore/thaw.js')).thaw(options);
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

/** Checks that what runs name is there, locked as promised and, on demand, unharmed. What is wrong is in the result. */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  return (await import('./audit/verify.js')).verify(options);
}

/** In a directory: brings a run back whose manifest is there without a readable sidecar, or sets the manifest aside. */
export async function mendRun(options: MendRunOptions): Promise<number> {
  return (await import('./audit/mend-run.js')).mendRun(options);
}

/** The error that a verification's result amounts to: DAMAGED, RETENTION_SHORT, or undefined. */
export async function failureOfVerification(result: VerifyResult): Promise<SysbackupError | undefined> {
  return (await import('./audit/verify.js')).failureOf(result);
}

/** Extends the locks of all backups that must stay, from any machine and without a catalog. */
export async function renew(options: RenewOptions): Promise<RenewResult> {
  return (await import('./audit/renew.js')).renew(options);
}

/** The error that a renewal's result amounts to: DAMAGED, RETENTION_SHORT, or undefined. */
export async function failureOfRenewal(result: RenewResult): Promise<SysbackupError | undefined> {
  return (await import('./audit/renew.js')).failureOfRenewal(result);
}

/** Makes a lost catalog anew from a run in the store. Takes the right to read, which `archive` does not need. */
export async function rebuildCatalog(options: RebuildCatalogOptions): Promise<RebuiltCatalog> {
  return (await import('./audit/rebuild-catalog.js')).rebuildCatalog(options);
}

/** What {@link createResources} would send: the template and the parameters. Sends nothing. */
export async function planResources(
  options: Pick<CreateResourcesOptions, 'stackName' | 'parameters'>,
): Promise<PlannedResources> {
  return (await import('./aws/create-resources.js')).planResources(options);
}

/** Makes a bucket that locks, and roles and groups, in AWS, and waits for them. */
export async function createResources(options: CreateResourcesOptions): Promise<ResourcesSummary> {
  return (await import('./aws/create-resources.js')).createResources(options);
}

/** Brings those to this version's template and to other parameters, after asking. */
export async function updateResources(options: UpdateResourcesOptions): Promise<ResourcesSummary> {
  return (await import('./aws/update-resources.js')).updateResources(options);
}

/** Makes this machine one that backs up: conf, credentials, examples, units, all or nothing. */
export async function writeConfig(options: WriteConfigOptions): Promise<WriteConfigSummary> {
  return (await import('./system/write-config.js')).writeConfig(options);
}

/** Carries out what {@link writeConfig} handed over to a process with more rights, all or nothing. */
export async function carryOutPlan(plan: string, options: CarryOutOptions): Promise<void> {
  const { parseSteps } = await import('./system/steps.js');
  await (await import('./system/carry-out.js')).carryOut(parseSteps(plan), options);
}

/** Removes from a directory store what no lock holds any more and no living manifest names. */
export async function expire(options: ExpireOptions): Promise<ExpireResult> {
  return (await import('./audit/expire.js')).expire(options);
}
