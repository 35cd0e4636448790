import { addUp } from '../add-up.js';
import { abortedError, errnoOf, messageOf, SysbackupError } from '../errors.js';
import { baseOf, type BytePath, parentOf } from '../files/byte-path.js';
import type { SafeDir } from '../files/safe-dir.js';
import { type FileStat, isSameFile, parseTimeNs } from '../files/stat.js';
import type { FileEntry } from '../manifest/types.js';
import type { BundlePlan } from './bundle-plan.js';
import { hasContent } from './existing-content.js';
import { requestsFor } from './fetch-content.js';
import type { FileWriter, Written } from './file-writer.js';
import { type FirstLink, HardLinks } from './hard-links.js';
import type { MetadataSetter } from './metadata.js';
import type { Overwrite, PathAction } from './options.js';
import type { RestoreReport } from './report.js';
import type { StopCause } from './stop-cause.js';
import type { HeldFolder, TargetFolders } from './target-folders.js';
import type { TaskPool } from './task-pool.js';
import { updateMetadata } from './update-metadata.js';

/** What restoring files takes; the same for all of a restore. */
export interface FileWork {
  tree: TargetFolders | undefined;
  writer: FileWriter;
  plan: BundlePlan;
  metadata: MetadataSetter;
  report: RestoreReport;
  pool: TaskPool;
  /** For what threads write. */
  quick: TaskPool;
  stop: StopCause;
  overwrite: Overwrite;
  /** Whether the content of what is there decides, and not its time. */
  checksum: boolean;
  dryRun: boolean;
  signal: AbortSignal | undefined;
}

/** A file's place: the open folder, or undefined where there is none yet (in a dry run). */
type Place = HeldFolder | undefined;
type Deed = PathAction['does'];

/** Restores regular files: what is there already first, then hard links, then content. */
export class Files {
  readonly #work: FileWork;
  readonly #links = new HardLinks();

  constructor(work: FileWork) {
    this.#work = work;
  }

  /**
   * Deals with one file, or leaves it under way in the pool. `metadata` must have been prepared with the entry.
   * Releases the place.
   */
  restore(path: BytePath, entry: FileEntry, place: Place): Promise<void> | undefined {
    const first = entry.id === undefined ? undefined : this.#links.firstOf(entry);
    return first ? this.#linked(path, entry, place, first) : this.#firstOrOnly(path, entry, place);
  }

  #firstOrOnly(path: BytePath, entry: FileEntry, place: Place): Promise<void> | undefined {
    const { report, overwrite, checksum, dryRun } = this.#work;
    // What has come into a new folder meanwhile is replaced either way, unless nothing may be.
    const isThere = place !== undefined && (!place.isNew || overwrite === 'never');
    const existing = isThere ? place.dir.stat(baseOf(path)) : 'ENOENT';
    const decided = decide(existing, entry, overwrite, checksum);
    const mustRead =
      decided === 'set-metadata' && decidedByContent(entry, checksum) && overwrite === 'if-changed';
    const does =
      decided === 'set-metadata' && !mustRead ? this.#metadata(path, entry, place, existing) : decided;
    if (does === 'failed') {
      report.passed(entry.size ?? 0);
      place?.release();
      return undefined;
    }
    if (does === undefined) {
      report.failure('in-the-way', path, reasonAgainst(existing));
      report.passed(entry.size ?? 0);
      place?.release();
      return undefined;
    }
    const settle = entry.id === undefined ? undefined : this.#links.begin(entry, path);
    const finish = (done: Deed | 'failed'): void => {
      this.#work.plan.unwanted(entry);
      report.passed(entry.size ?? 0);
      place?.release();
      // What `never` kept may be anything: its other names must not become links to that.
      const isOther = done === 'keep' && overwrite === 'never';
      settle?.(isOther ? undefined : typeof existing === 'string' ? '' : existing.inodeId);
    };
    const writes = does === 'create' || does === 'replace';
    if (!mustRead) this.#acts(path, entry, does);
    if (!mustRead && (dryRun || !place || !writes)) {
      finish(does);
      return undefined;
    }
    return this.#poolFor(entry).start(async () => {
      if (mustRead) {
        const isRight = await this.#isRight(path, entry, place);
        const done =
          isRight === undefined ? 'keep' : isRight ? this.#metadata(path, entry, place, existing) : 'replace';
        if (done !== 'failed') this.#acts(path, entry, done);
        if (done !== 'replace' || dryRun) return finish(done);
      }
      const inodeId = place && (await this.#write(path, entry, place.dir));
      if (place && inodeId === undefined) report.undone(mustRead ? 'replace' : does);
      place?.release();
      settle?.(inodeId);
    });
  }

  /** Whether a file that is there has the right content; undefined where the restore was stopped meanwhile. */
  async #isRight(path: BytePath, entry: FileEntry, place: Place): Promise<boolean | undefined> {
    const { stop, signal } = this.#work;
    try {
      return place !== undefined && (await hasContent(place.dir, baseOf(path), entry, signal));
    } catch (error) {
      stop.failed(signal?.aborted ? abortedError(error) : error);
      return undefined;
    }
  }

  async #linked(path: BytePath, entry: FileEntry, place: Place, first: FirstLink): Promise<void> {
    const { report, plan, overwrite, dryRun } = this.#work;
    plan.unwanted(entry);
    const existing = place ? place.dir.stat(baseOf(path)) : 'ENOENT';
    if (typeof existing !== 'string' && existing.kind === 'directory') {
      report.failure('in-the-way', path, reasonAgainst(existing));
      report.passed(entry.size ?? 0);
      place?.release();
      return;
    }
    const isLink = place !== undefined && this.#isLink(path, place.dir, first);
    const isKept = isLink || (overwrite === 'never' && typeof existing !== 'string');
    if (isKept || dryRun || !place) {
      this.#acts(path, entry, isKept ? 'keep' : 'link');
      report.passed(entry.size ?? 0);
      place?.release();
      return;
    }
    await this.#poolFor(entry).start(async () => {
      const came = first.coming === undefined || (await first.coming);
      if (came && this.#isLink(path, place.dir, first)) {
        this.#acts(path, entry, 'keep');
        report.passed(entry.size ?? 0);
        place.release();
        return;
      }
      const errno = came ? this.#link(path, place.dir, first) : 'failed';
      if (errno === undefined) {
        this.#acts(path, entry, 'link');
        report.passed(entry.size ?? 0);
      } else {
        // The first did not come through, or this file system has no such links: a copy of its own.
        const does = typeof existing === 'string' ? 'create' : 'replace';
        this.#acts(path, entry, does);
        if ((await this.#write(path, entry, place.dir)) === undefined) report.undone(does);
      }
      place.release();
    });
  }

  #poolFor(entry: FileEntry): TaskPool {
    return this.#work.writer.isQuick(entry) ? this.#work.quick : this.#work.pool;
  }

  #acts(path: BytePath, entry: FileEntry, does: Deed): void {
    const fetches = does === 'create' || does === 'replace';
    const requests = fetches ? requestsFor(entry.dat) : 0;
    this.#work.report.acts({ path, kind: 'f', does, bytes: fetches ? (entry.size ?? 0) : 0, requests });
  }

  /**
   * Whether what is there is another name of the file that was restored first. One inode number does not say so: the
   * target's file system may show it for different files.
   */
  #isLink(path: BytePath, dir: SafeDir, first: FirstLink): boolean {
    const existing = dir.stat(baseOf(path));
    if (typeof existing === 'string' || existing.links < 2 || existing.inodeId !== first.inodeId)
      return false;
    const folder = this.#work.tree?.hold(parentOf(first.path));
    if (!folder || 'errno' in folder) return false;
    try {
      const stat = folder.dir.stat(baseOf(first.path));
      return typeof stat !== 'string' && isSameFile(stat, existing);
    } finally {
      folder.release();
    }
  }

  /** The errno where it cannot be linked. */
  #link(path: BytePath, dir: SafeDir, first: FirstLink): string | undefined {
    const folder = this.#work.tree?.hold(parentOf(first.path));
    if (!folder) return 'ENOENT';
    if ('errno' in folder) return folder.errno;
    try {
      const name = baseOf(first.path);
      const stat = folder.dir.stat(name);
      // Whatever was put in its place meanwhile is not what was restored.
      if (typeof stat === 'string' || stat.inodeId !== first.inodeId) return 'ESTALE';
      return folder.dir.replaceByHardLink(name, dir, baseOf(path));
    } finally {
      folder.release();
    }
  }

  #metadata(path: BytePath, entry: FileEntry, place: Place, existing: FileStat | string) {
    if (!place || typeof existing === 'string') return 'keep';
    return updateMetadata(path, entry, { dir: place.dir, links: existing.links }, this.#work);
  }

  /** The new file's inode id; undefined where it failed, and nothing is left of it. */
  #write(path: BytePath, entry: FileEntry, dir: SafeDir): Promise<string | undefined> {
    const { report, writer } = this.#work;
    let advanced = 0;
    const onBytes = (bytes: number): void => {
      advanced += bytes;
      report.advanced(bytes);
    };
    const written = ({ inodeId, notSet }: Written): string => {
      report.bytes = addUp(report.bytes, advanced);
      report.metadataNotSet(path, notSet);
      report.passed(Math.max(0, (entry.size ?? 0) - advanced));
      return inodeId;
    };
    const failed = (error: unknown): undefined => {
      this.#failed(path, entry, error);
      report.passed(Math.max(0, (entry.size ?? 0) - advanced));
    };
    return writer.write(dir, baseOf(path), entry, onBytes).then(written, failed);
  }

  #failed(path: BytePath, entry: FileEntry, error: unknown): void {
    const { report, stop, signal } = this.#work;
    if (report.isFrozen(error, entry)) return;
    stop.failed(signal?.aborted ? abortedError(error) : error);
    // Why all ends is told once; each path under way then has nothing to add.
    if (stop.error === undefined) report.failure(codeOf(error), path, messageOf(error));
    else report.failed += 1;
  }
}

/** What is to be done about a file; `set-metadata`: if it differs. Undefined: nothing can be. */
function decide(
  existing: FileStat | string,
  entry: FileEntry,
  overwrite: Overwrite,
  checksum: boolean,
): Deed | undefined {
  if (typeof existing === 'string') return existing === 'ENOENT' ? 'create' : undefined;
  if (overwrite === 'never') return 'keep';
  if (existing.kind === 'directory') return undefined;
  const mayBeRight = decidedByContent(entry, checksum)
    ? hasSize(existing, entry)
    : isUnchanged(existing, entry);
  return overwrite === 'always' || !mayBeRight ? 'replace' : 'set-metadata';
}

/** The older format knows no times. */
function decidedByContent(entry: FileEntry, checksum: boolean): boolean {
  return checksum || entry.mt === undefined;
}

function hasSize(existing: FileStat, { size }: FileEntry): boolean {
  return existing.kind === 'file' && (size === undefined || existing.size === size);
}

function isUnchanged(existing: FileStat, entry: FileEntry): boolean {
  return hasSize(existing, entry) && entry.mt !== undefined && existing.mtimeNs === parseTimeNs(entry.mt);
}

function reasonAgainst(existing: FileStat | string): string {
  return typeof existing === 'string' ? existing : 'a folder stands in its place';
}

function codeOf(error: unknown): string {
  if (error instanceof SysbackupError) return error.code === 'DAMAGED' ? 'damaged' : 'not-fetched';
  if (errnoOf(error) === 'EISDIR') return 'in-the-way';
  return errnoOf(error) === undefined ? 'not-fetched' : 'not-restored';
}
