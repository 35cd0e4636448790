import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { fetchManifest, type FetchedManifest } from '../manifest/fetch.js';
import type { HiddenRun } from '../manifest/hidden-runs.js';
import { parseRunId } from '../manifest/keys.js';
import { listRuns } from '../manifest/runs.js';
import { DirectoryMending, type FoundData } from '../store/directory-mending.js';
import type { ObjectStore, Retention } from '../store/port.js';
import { referencesOf } from './named-versions.js';
import { lockDate, promiseOf } from './promise.js';

export interface MendRunOptions {
  /** A directory store. */
  store: Pick<ObjectStore, 'list' | 'get' | 'head' | 'getRetention' | 'description'>;
  /** Its root. */
  path: string;
  /** A run id, or `<backup name>/<run id>`; anything else names no run whose manifest may be set aside. */
  run: string;
  /** Directory for temporary files. */
  spoolFolder: string;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Brings a run back whose manifest is there without a readable sidecar: where the file holds a whole manifest of that
 * run, the sidecar is written again, with the lock that the manifest promises and the file's modification time as the
 * time of its receipt. Otherwise the file is set aside, and DAMAGED is thrown. Resolves to how many sidecars were
 * written. Throws USAGE where the run id stands in several backups, and what the store throws.
 */
export async function mendRun(options: MendRunOptions): Promise<number> {
  const hidden = await hiddenFilesOf(options);
  if (hidden.length === 0) return 0;
  const mending = await DirectoryMending.open(options.path);
  try {
    let written = 0;
    for (const run of hidden) if (await mend(run, mending, options)) written++;
    return written;
  } finally {
    await mending.close();
  }
}

async function hiddenFilesOf({ store, run: text }: MendRunOptions): Promise<HiddenRun[]> {
  const id = text.slice(text.lastIndexOf('/') + 1);
  if (!parseRunId(id)) return [];
  const backup = text === id ? undefined : text.slice(0, -id.length - 1);
  let hidden: HiddenRun[] = [];
  // Without a listener: the verification of this run hears of the others.
  await listRuns(store, {
    backup,
    onHidden: (found) => {
      hidden = found.filter(({ run }) => run === id);
    },
  });
  const names = [...new Set(hidden.map((run) => run.backup))];
  if (names.length < 2) return hidden;
  throw new SysbackupError('USAGE', `several backups have a run ${id}: ${names.join(', ')}`, {
    hint: `Name one of them, as in ${names[0]}/${id}.`,
  });
}

/** False where nothing has to be done any more. */
async function mend(run: HiddenRun, mending: DirectoryMending, options: MendRunOptions): Promise<boolean> {
  const { key, version: named } = run;
  const found = await mending.dataWithoutSidecar(key, named);
  if (found === undefined) return false;
  const manifest = await wholeManifest(run, found, options);
  if (manifest instanceof SysbackupError) {
    const to = await mending.setAsideHidden(key, found, named);
    throw new SysbackupError('DAMAGED', `${manifest.message}; it was set aside: ${to}`, {
      hint: 'The run is lost; what it names stays until its locks end, and other runs that name it are whole.',
      cause: manifest,
    });
  }
  try {
    const { slot, md5: version, size, received } = found;
    const retention = await lockOf(manifest, options);
    await mending.writeSidecar(key, slot, { version, size, metadata: {}, retention, received });
    const until = retention === undefined ? 'not locked' : `locked until ${lockDate(retention.until)}`;
    const message = `the sidecar of the run ${run.backup}/${run.run} was written again: ${until}`;
    options.onEvent?.({ type: 'log', level: 'info', message });
    return true;
  } finally {
    await manifest.remove();
  }
}

/** The manifest, or why the file holds none of that run. What fails is read once more. */
async function wholeManifest(
  { key, version: named }: HiddenRun,
  { md5 }: FoundData,
  { store, spoolFolder, signal }: MendRunOptions,
): Promise<FetchedManifest | SysbackupError> {
  if (named !== undefined && named !== md5)
    return new SysbackupError('DAMAGED', `the manifest ${key} is not the one that its file's name says`);
  for (let again = false; ; again = true) {
    try {
      return await fetchManifest(store, { key, version: md5 }, spoolFolder, { signal });
    } catch (error) {
      if (!(error instanceof SysbackupError) || error.code !== 'DAMAGED') throw error;
      if (again) return error;
    }
  }
}

/**
 * What the header promises. How much longer a run is kept that stands for a week, month or year, it does not say: the
 * first end of a lock among all that the run names tells.
 */
async function lockOf(
  manifest: FetchedManifest,
  { store, signal }: MendRunOptions,
): Promise<Retention | undefined> {
  const promised = promiseOf(manifest.header, undefined);
  const { classes = [] } = manifest.header;
  if (promised === undefined || classes.length === 0 || manifest.footer.outcome === 'broken') return promised;
  let first: number | undefined;
  for await (const lines of manifest.lines(signal)) {
    for (const line of lines) {
      for (const { version } of referencesOf(line)) {
        const until = await lockEnd(store, version.key, version.ver);
        if (until !== undefined) first = Math.min(first ?? until, until);
      }
    }
  }
  return { ...promised, until: Math.max(promised.until, first ?? 0) };
}

/** Undefined for what is gone, which tells nothing. */
async function lockEnd(
  store: MendRunOptions['store'],
  key: string,
  version: string,
): Promise<number | undefined> {
  try {
    return (await store.getRetention(key, version))?.until ?? 0;
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
