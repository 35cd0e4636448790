import { explainedErrno } from '../errno-names.js';
import { baseOf, type BytePath, displayPath, parentOf } from '../files/byte-path.js';
import { OpenFileHandle } from '../files/handle.js';
import { entryPath } from '../manifest/paths.js';
import type { DirectoryEntry } from '../manifest/types.js';
import type { FolderSpool } from './folder-spool.js';
import type { MetadataSetter } from './metadata.js';
import type { Overwrite, PathAction } from './options.js';
import type { RestoreReport } from './report.js';
import type { HeldFolder, TargetFolders } from './target-folders.js';
import type { Unfinished } from './unfinished.js';

/** What a folder's place turned out to be. */
export type FolderPlace =
  | HeldFolder
  /** Not there, and not made, this being a dry run. */
  | 'absent'
  /** Something else stands there or above; that has been reported. */
  | 'blocked';

const ROOT = '/' as BytePath;
const REASONS: Partial<Record<string, string>> = {
  ELOOP: 'a symlink stands there, and none is followed',
  ENOTDIR: 'something that is no folder stands there',
  ENOENT: 'it was removed meanwhile',
};

/**
 * Makes the folders of a restore as they are needed, first closed to others, and gives them their metadata at the
 * end, when nothing is written in them any more.
 */
export class Folders {
  readonly #tree: TargetFolders | undefined;
  readonly #spool: FolderSpool;
  readonly #report: RestoreReport;
  readonly #metadata: MetadataSetter;
  readonly #overwrite: Overwrite;
  readonly #dryRun: boolean;
  /** Entries of folders that were not selected, but may lie above something that is. */
  readonly #above = new Map<BytePath, DirectoryEntry>();
  readonly #blocked = new Set<BytePath>();
  /** Directories that exist, and whose metadata is to change at the end. */
  readonly #changing = new Set<BytePath>();
  readonly #unfinished: Unfinished | undefined;
  /** Folders on the way to the present path that {@link #resume} has been in. */
  readonly #resumed = new Set<BytePath>();

  constructor(
    tree: TargetFolders | undefined,
    spool: FolderSpool,
    report: RestoreReport,
    metadata: MetadataSetter,
    options: { overwrite: Overwrite; dryRun: boolean; unfinished?: Unfinished | undefined },
  ) {
    this.#tree = tree;
    this.#spool = spool;
    this.#report = report;
    this.#metadata = metadata;
    this.#overwrite = options.overwrite;
    this.#dryRun = options.dryRun;
    this.#unfinished = options.unfinished;
  }

  /** A folder's entry that was not selected. Entries come in path order: most can soon be forgotten. */
  async passBy(path: BytePath, entry: DirectoryEntry): Promise<void> {
    if (path === '/' && this.#isTargetOurs()) {
      this.#unfinished?.made(path);
      await this.#spool.add(entry);
    }
    for (const above of this.#above.keys()) if (!path.startsWith(above)) this.#above.delete(above);
    this.#above.set(path, entry);
  }

  /** A selected folder. */
  async restore(path: BytePath, entry: DirectoryEntry): Promise<void> {
    const place = await this.#ensure(path, entry);
    if (place === 'blocked') this.#report.failed += 1;
    if (typeof place !== 'string') place.release();
  }

  /** The folder that this path is in, made where it has to be; to be released. */
  async parentOf(path: BytePath): Promise<FolderPlace> {
    return this.#ensure(parentOf(path), undefined);
  }

  /** The same where it is open and there is nothing to do with it; undefined where {@link parentOf} is to be asked. */
  openParentOf(path: BytePath): HeldFolder | undefined {
    return this.#unfinished?.isResumed === true ? undefined : this.#tree?.holdOpen(parentOf(path));
  }

  /** Gives all folders their metadata, those below first. */
  async finish(): Promise<void> {
    const metadata = this.#metadata;
    for await (const batch of this.#spool.reversed()) {
      await metadata.prepare(batch);
      for (const entry of batch) this.#finishOne(entry);
    }
  }

  /** Whether the target itself was made for this, now or by an earlier restore that was interrupted. */
  #isTargetOurs(): boolean {
    return this.#tree?.madeTarget === true || this.#unfinished?.has(ROOT) === true;
  }

  /** Goes on where an earlier restore was interrupted, in a folder and those above it, each once. */
  async #resume(path: BytePath): Promise<void> {
    for (const folder of downTo(path)) {
      if (this.#resumed.has(folder)) continue;
      for (const other of this.#resumed) if (!folder.startsWith(other)) this.#resumed.delete(other);
      this.#resumed.add(folder);
      const held = this.#tree?.hold(folder);
      if (!held || 'errno' in held) continue;
      this.#unfinished?.clean(held.dir);
      const entry = this.#unfinished?.has(folder) && folder !== ROOT ? this.#above.get(folder) : undefined;
      if (entry) {
        openToOwner(held);
        await this.#spool.add(entry);
      }
      held.release();
    }
  }

  async #ensure(path: BytePath, selected: DirectoryEntry | undefined): Promise<FolderPlace> {
    if (!this.#tree) return this.#made(path, selected, 'absent');
    const held = this.#tree.hold(path);
    if (!('errno' in held)) {
      if (this.#unfinished?.isResumed) await this.#resume(path);
      if (selected) await this.#existing(path, selected, held);
      return held;
    }
    if (held.errno !== 'ENOENT') return this.#isBlocked(held.at, held.errno);
    if (this.#dryRun) return this.#made(path, selected, 'absent');
    const parent = await this.#ensure(parentOf(path), undefined);
    if (typeof parent === 'string') return parent;
    const errno = parent.dir.makeFolder(baseOf(path));
    parent.release();
    if (errno !== undefined) return this.#isBlocked(path, errno);
    const made = this.#tree.hold(path, { isNew: true });
    return 'errno' in made ? this.#isBlocked(path, made.errno) : this.#made(path, selected, made);
  }

  async #made<Place extends FolderPlace>(
    path: BytePath,
    selected: DirectoryEntry | undefined,
    place: Place,
  ): Promise<Place> {
    if (selected) this.#acts(path, 'create');
    const entry = selected ?? this.#above.get(path);
    if (place === 'absent') return place;
    // A selected one gets its metadata by the next restore anyway, unless that is to leave alone what is there.
    if (entry && (!selected || this.#overwrite === 'never')) this.#unfinished?.made(path);
    if (entry) await this.#spool.add(entry);
    else this.#withoutEntry(path);
    return place;
  }

  #withoutEntry(path: BytePath): void {
    const message = `${displayPath(path)}: the manifest has no entry for this folder, so it stays closed to others`;
    this.#report.problem({ severity: 'note', code: 'folder-without-entry', path, message });
  }

  async #existing(path: BytePath, entry: DirectoryEntry, held: HeldFolder): Promise<void> {
    // What a person made and named is theirs, unless it is the very folder that was backed up.
    const isOurs = path === ROOT && this.#isTargetOurs();
    const isOthers = path === ROOT && !isOurs && this.#tree?.isRoot !== true;
    const isKept = this.#overwrite === 'never' && !isOurs && this.#unfinished?.has(path) !== true;
    const keep = isKept || isOthers;
    const does = keep
      ? 'keep'
      : path === ROOT && this.#tree?.madeTarget
        ? 'create'
        : this.#compared(path, entry, held);
    if (isOurs) this.#unfinished?.made(path);
    if (does === undefined) this.#changing.add(path);
    else this.#acts(path, does);
    if (keep || this.#dryRun) return;
    openToOwner(held);
    await this.#spool.add(entry);
  }

  /** Undefined where its metadata is to change: what has come of that shows when it is set. */
  #compared(path: BytePath, entry: DirectoryEntry, { dir }: HeldFolder): 'keep' | 'set-metadata' | undefined {
    const difference = this.#metadata.compare(new OpenFileHandle(dir.fd), entry);
    // Of one that may not be looked at in this way.
    if (typeof difference === 'string') return 'set-metadata';
    if (this.#dryRun) this.#report.metadataNotSet(path, difference.notSet);
    if (!difference.canBeSet) return 'keep';
    return this.#dryRun ? 'set-metadata' : undefined;
  }

  #acts(path: BytePath, does: PathAction['does']): void {
    this.#report.acts({ path, kind: 'd', does, bytes: 0, requests: 0 });
  }

  #finishOne(entry: DirectoryEntry): void {
    const path = entryPath(entry);
    const held = this.#tree?.hold(path);
    if (!held) return;
    if ('errno' in held) {
      this.#isBlocked(held.at, held.errno);
      return;
    }
    const { changed, notSet } = this.#metadata.update(new OpenFileHandle(held.dir.fd), entry);
    this.#report.metadataNotSet(path, notSet);
    if (this.#changing.delete(path)) this.#acts(path, changed ? 'set-metadata' : 'keep');
    held.release();
  }

  #isBlocked(at: BytePath, errno: string): 'blocked' {
    if (!this.#blocked.has(at)) {
      this.#blocked.add(at);
      const message = `${displayPath(at)}: cannot be a folder in the target, nothing below it is restored: ${REASONS[errno] ?? explainedErrno(errno)}`;
      this.#report.problem({ severity: 'failure', code: 'folder-blocked', path: at, message });
    }
    return 'blocked';
  }
}

/** The folders from the target to this one. */
function downTo(path: BytePath): BytePath[] {
  const folders = [path];
  for (let folder = path; folder !== ROOT; folders.unshift(folder)) folder = parentOf(folder);
  return folders;
}

/** Who is not root needs rights of their own to write in it; its own mode comes back at the end. */
function openToOwner({ dir }: HeldFolder): void {
  const handle = new OpenFileHandle(dir.fd);
  const stat = handle.stat();
  if (typeof stat === 'string' || (stat.mode & 0o700) === 0o700) return;
  // Where this fails, so does writing in it, which is reported then.
  handle.chmod(stat.mode | 0o700);
}
