import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { type BytePath, displayPath, pathFromText } from '../files/byte-path.js';
import { OwnerIds } from '../files/owners.js';
import type { FetchedManifest } from '../manifest/fetch.js';
import { entryPath } from '../manifest/paths.js';
import type { FileEntry, FileSystemEntry, ManifestLine, SymlinkEntry } from '../manifest/types.js';
import { BundlePlan } from './bundle-plan.js';
import { ContentFetcher } from './fetch-content.js';
import { FileWriter } from './file-writer.js';
import { Files } from './files.js';
import { FoldedPaths } from './folded-paths.js';
import { FolderSpool } from './folder-spool.js';
import { type FolderPlace, Folders } from './folders.js';
import { MetadataSetter } from './metadata.js';
import type { RestoreOptions, RestoreSummary } from './options.js';
import { RestoreReport } from './report.js';
import { PathPatterns } from './path-patterns.js';
import { isPathEntry, isSafePath } from './select.js';
import { fetchSelected } from './selected-run.js';
import { SmallFileWriters } from './small-file-writers.js';
import { StopCause } from './stop-cause.js';
import { restoreSymlink, type SymlinkWork } from './symlinks.js';
import { summaryOf } from './summary.js';
import { TakenPlaces } from './taken-places.js';
import { TargetFolders } from './target-folders.js';
import { TaskPool } from './task-pool.js';
import { Unfinished } from './unfinished.js';

const CONCURRENCY = 8;
/** Files given to threads, or waiting for what they are made from; each may hold a folder open. */
const QUICK = 384;
/** More threads than this only wait for the one that feeds them. */
const MOST_WRITERS = 4;
/** A thread takes as long to start as these take to be written. */
const FEW = 500;

/**
 * Brings the files of one run back below a target.
 *
 * The whole manifest is read and found right before anything is written. Then folders are made, closed to others;
 * each file is written under a temporary name beside its place, checked against its SHA-256, given its metadata,
 * and renamed; folders get theirs at the end. What fails is a problem of its path, and the rest goes on. Nothing
 * outside the target is written, whatever the manifest says and whatever stands in the target.
 *
 * Throws DAMAGED where the manifest is not right; NOT_FOUND, ACCESS_DENIED or STORE_FAILED where the store cannot be
 * read; SYSTEM where the target or the spool cannot be written (any more); ABORTED. What was restored until then stays.
 */
export async function restore(options: RestoreOptions): Promise<RestoreSummary> {
  const { spoolFolder, onEvent, dryRun = false } = options;
  onEvent?.({ type: 'phase', phase: 'prepare' });
  const patterns = new PathPatterns(options.include, options.exclude);
  const spool = await mkdtemp(join(spoolFolder, 'restore-')).catch((error: unknown) => {
    throw new SysbackupError('SYSTEM', `cannot make a folder in ${spoolFolder}: ${messageOf(error)}`, {
      hint: 'Name another folder for temporary files.',
      cause: error,
    });
  });
  const plan = new BundlePlan();
  const folded = new FoldedPaths();
  try {
    const { manifest, selection } = await fetchSelected(options, spool, patterns, plan, folded);
    folded.close();
    onEvent?.({ type: 'phase', phase: 'restore' });
    selection.whiteouts.tell(onEvent);
    const target = pathFromText(resolve(options.target));
    const tree = TargetFolders.open(target, !dryRun);
    const root = dryRun ? undefined : tree?.hold(pathFromText('/'));
    const unfinished = root && 'dir' in root ? Unfinished.open(root.dir, spoolFolder) : undefined;
    try {
      const report = new RestoreReport(options, selection);
      const threads = dryRun ? undefined : threadsFor(selection.entries, options, report);
      const parts = { tree, target, spool, report, patterns, folded, unfinished, plan, threads };
      const work = new Restoration(options, parts);
      try {
        await work.restoreAll(manifest);
      } finally {
        await threads?.close();
      }
      return summaryOf(manifest, report, work.requests, dryRun);
    } finally {
      unfinished?.close();
      tree?.close();
    }
  } finally {
    await rm(spool, { recursive: true, force: true });
  }
}

/** Undefined where there is too little to do for a thread to be worth its start. */
function threadsFor(
  entries: number,
  { store, writers }: RestoreOptions,
  report: RestoreReport,
): SmallFileWriters | undefined {
  const threads = writers ?? (entries < FEW ? 0 : Math.min(availableParallelism(), MOST_WRITERS));
  if (threads === 0) return undefined;
  const onCrash = (reason: string): void =>
    report.log(`a thread that wrote files has crashed (${reason}); the rest is written without`);
  return new SmallFileWriters({ threads, localRoot: store.localRoot, onCrash });
}

interface Place {
  tree: TargetFolders | undefined;
  target: BytePath;
  spool: string;
  report: RestoreReport;
  patterns: PathPatterns;
  folded: FoldedPaths;
  unfinished: Unfinished | undefined;
  plan: BundlePlan;
  threads: SmallFileWriters | undefined;
}

class Restoration {
  readonly #fetcher: ContentFetcher;
  readonly #files: Files;
  readonly #folders: Folders;
  readonly #folderSpool: FolderSpool;
  readonly #metadata: MetadataSetter;
  readonly #threads: SmallFileWriters | undefined;
  readonly #pool: TaskPool;
  readonly #quick = new TaskPool(QUICK);
  readonly #stop: StopCause;
  readonly #symlinks: SymlinkWork;
  readonly #report: RestoreReport;
  readonly #patterns: PathPatterns;
  readonly #folded: FoldedPaths;
  readonly #taken: TakenPlaces | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #dryRun: boolean;
  readonly #tree: TargetFolders | undefined;
  readonly #unfinished: Unfinished | undefined;

  constructor(options: RestoreOptions, place: Place) {
    const { tree, target, spool, report, patterns, folded, unfinished, plan, threads } = place;
    const { overwrite = 'if-changed', dryRun = false, concurrency = CONCURRENCY, signal } = options;
    const metadata = new MetadataSetter(options.owners ?? new OwnerIds(), options.numericOwners ?? false);
    const stop = new StopCause(displayPath(target));
    const stopped = (): Error | undefined => stop.error;
    const fetcher = new ContentFetcher(options.store, { concurrency, plan, stopped, signal });
    const onFetched = (): void => stop.fetched();
    const pool = new TaskPool(concurrency);
    this.#folderSpool = new FolderSpool(spool);
    this.#folders = new Folders(tree, this.#folderSpool, report, metadata, { overwrite, dryRun, unfinished });
    const { checksum = false } = options;
    const isLocal = options.store.localRoot !== undefined;
    this.#files = new Files({
      tree,
      writer: new FileWriter({ fetcher, metadata, threads, isLocal, onFetched, signal }),
      plan,
      metadata,
      report,
      pool,
      quick: this.#quick,
      stop,
      overwrite,
      checksum,
      dryRun,
      signal,
    });
    this.#unfinished = unfinished;
    this.#symlinks = { tree, firsts: new Map(), metadata, report, stop, overwrite, dryRun };
    this.#fetcher = fetcher;
    this.#threads = threads;
    this.#metadata = metadata;
    this.#pool = pool;
    this.#stop = stop;
    this.#report = report;
    this.#patterns = patterns;
    this.#folded = folded;
    this.#taken = tree && new TakenPlaces(tree);
    this.#signal = signal;
    this.#dryRun = dryRun;
    this.#tree = tree;
  }

  get requests(): number {
    return this.#fetcher.requests + (this.#threads?.requests ?? 0);
  }

  async restoreAll(manifest: FetchedManifest): Promise<void> {
    try {
      try {
        for await (const lines of manifest.lines(this.#signal)) if (!(await this.#restoreBatch(lines))) break;
      } finally {
        await Promise.all([this.#pool.idle(), this.#quick.idle()]);
      }
      throwIfAborted(this.#signal);
      if (!this.#dryRun) await this.#folders.finish();
      if (this.#stop.error) throw this.#stop.error;
      this.#unfinished?.finished();
    } finally {
      await this.#folderSpool.remove();
    }
    this.#report.reportUnmatched(this.#patterns);
    this.#report.tellWhatIsFrozen();
    this.#report.tellWhatWasNotSet(process.geteuid?.() === 0);
    this.#report.tellProgress();
  }

  /** False where nothing after this batch concerns a restore of files, or all must end. */
  async #restoreBatch(lines: readonly ManifestLine[]): Promise<boolean> {
    const entries: { path: BytePath; entry: FileSystemEntry; selected: boolean }[] = [];
    let more = true;
    for (const line of lines) {
      if (line.typ === 'manifest') continue;
      if (!isPathEntry(line)) {
        more = false;
        break;
      }
      const path = entryPath(line);
      entries.push({ path, entry: line, selected: this.#patterns.select(path) });
    }
    const selected = entries.filter((one) => one.selected).map(({ entry }) => entry);
    if (this.#tree && selected.length > 0) await this.#metadata.prepare(selected);
    for (const { path, entry, selected } of entries) {
      if (this.#stop.error) return false;
      throwIfAborted(this.#signal);
      // Most need no waiting for, and a promise for each costs more than the rest of it.
      const begun = selected ? this.#restoreEntry(path, entry) : undefined;
      if (begun) await begun;
      if (!selected && entry.typ === 'd' && isSafePath(path)) {
        if (this.#folded.mayCollide(path)) await this.#takePlace(path, entry);
        await this.#folders.passBy(path, entry);
      }
    }
    return more;
  }

  #restoreEntry(path: BytePath, entry: FileSystemEntry): Promise<void> | undefined {
    const report = this.#report;
    report.selects(path, entry);
    const bytes = entry.typ === 'f' ? (entry.size ?? 0) : 0;
    if (!isSafePath(path) || (path === '/' && entry.typ !== 'd')) {
      report.failure('unsafe-path', path, 'is no path that could have been backed up, and is not restored');
      report.passed(bytes);
      return undefined;
    }
    if (this.#folded.mayCollide(path)) return this.#restoreIfFree(path, entry, bytes);
    return this.#restoreSafe(path, entry);
  }

  /** A path that some file systems take for one with another of this restore: the one that came first stays. */
  async #restoreIfFree(path: BytePath, entry: FileSystemEntry, bytes: number): Promise<void> {
    const first = await this.#takePlace(path, entry);
    if (first === undefined) return this.#restoreSafe(path, entry);
    const reason = `its place is taken by ${displayPath(first)}: the target does not distinguish these names`;
    this.#report.failure('name-taken', path, reason);
    this.#report.passed(bytes);
  }

  /** Which path has taken this one's place before, when all that came before is in its place. */
  async #takePlace(path: BytePath, { typ }: FileSystemEntry): Promise<BytePath | undefined> {
    await Promise.all([this.#pool.idle(), this.#quick.idle()]);
    return this.#taken?.take(path, typ);
  }

  #restoreSafe(path: BytePath, entry: FileSystemEntry): Promise<void> | undefined {
    const report = this.#report;
    if (entry.typ === 'd') return this.#folders.restore(path, entry).then(() => report.passed(0));
    const place = this.#folders.openParentOf(path);
    if (place) return this.#restoreIn(path, entry, place);
    return this.#folders.parentOf(path).then((made) => this.#restoreIn(path, entry, made));
  }

  #restoreIn(path: BytePath, entry: FileEntry | SymlinkEntry, place: FolderPlace): Promise<void> | undefined {
    const report = this.#report;
    if (place === 'blocked') {
      report.failed += 1;
      report.passed(entry.typ === 'f' ? (entry.size ?? 0) : 0);
      return undefined;
    }
    const held = place === 'absent' ? undefined : place;
    if (entry.typ === 'f') return this.#files.restore(path, entry, held);
    restoreSymlink(path, entry, held?.dir, this.#symlinks);
    held?.release();
    report.passed(0);
    return undefined;
  }
}
