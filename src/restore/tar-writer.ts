import { createHash } from 'node:crypto';
import { addUp } from '../add-up.js';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import type { FetchedManifest } from '../manifest/fetch.js';
import { entryPath, linkTarget } from '../manifest/paths.js';
import type { FileEntry, FileSystemEntry, ManifestLine, SymlinkEntry } from '../manifest/types.js';
import { ContentFetcher, requestsFor } from './fetch-content.js';
import type { RestoreToTarOptions } from './options.js';
import type { RestoreReport } from './report.js';
import { isPathEntry, isSafePath } from './select.js';
import { StopCause } from './stop-cause.js';
import { ContentAhead, checkSha, FETCHED_WHOLE, type WholeContent } from './tar-content.js';
import { encodeEntry } from './tar-entry.js';
import { TarFolders } from './tar-folders.js';
import { paddingAfter } from './tar-header.js';
import { TarOutput } from './tar-output.js';

const CONCURRENCY = 8;
/** Members that wait for their turn while their content is fetched. */
const WAITING = 64;

/** A member whose turn has not come. */
interface Waiting {
  path: BytePath;
  entry: FileSystemEntry;
  content: Promise<WholeContent> | undefined;
}

/** Writes members in the order of the manifest, the content of those to come being fetched meanwhile. */
export class TarWriter {
  readonly #fetcher: ContentFetcher;
  readonly #ahead: ContentAhead;
  readonly #output: TarOutput;
  readonly #folders = new TarFolders();
  readonly #report: RestoreReport;
  readonly #select: (path: BytePath) => boolean;
  readonly #stop = new StopCause('the tar');
  readonly #signal: AbortSignal | undefined;
  readonly #dryRun: boolean;
  readonly #waiting: Waiting[] = [];
  /** Paths under which inodes with several names went out first, by {@link linkKey}. */
  readonly #firsts = new Map<string, BytePath>();
  readonly #coming = new Set<string>();
  /** When the run began, in nanoseconds: for what has no time of its own. */
  #start = 0n;

  constructor(options: RestoreToTarOptions, select: (path: BytePath) => boolean, report: RestoreReport) {
    const { store, concurrency = CONCURRENCY, signal, write, dryRun = false } = options;
    this.#fetcher = new ContentFetcher(store, { concurrency, signal });
    this.#ahead = new ContentAhead(this.#fetcher);
    this.#output = new TarOutput(write);
    this.#select = select;
    this.#report = report;
    this.#signal = signal;
    this.#dryRun = dryRun;
  }

  get requests(): number {
    return this.#fetcher.requests;
  }

  async writeAll(manifest: FetchedManifest): Promise<void> {
    this.#start = BigInt(Date.parse(manifest.header.start) || 0) * 1_000_000n;
    try {
      for await (const lines of manifest.lines(this.#signal)) if (!(await this.#takeBatch(lines))) break;
      while (this.#waiting.length > 0) await this.#writeNext();
    } finally {
      for (const { content } of this.#waiting) content?.then(({ release }) => release());
    }
    throwIfAborted(this.#signal);
    if (this.#dryRun) return;
    for (const [path, entry] of this.#folders.end()) await this.#writeHeader(path, entry);
    await this.#output.end();
  }

  async #takeBatch(lines: readonly ManifestLine[]): Promise<boolean> {
    for (const line of lines) {
      throwIfAborted(this.#signal);
      if (line.typ === 'manifest') continue;
      if (!isPathEntry(line)) return false;
      const path = entryPath(line);
      if (this.#select(path)) await this.#take(path, line);
      else if (line.typ === 'd') this.#folders.passBy(path, line);
      else this.#folders.leaf(path);
    }
    return true;
  }

  async #take(path: BytePath, entry: FileSystemEntry): Promise<void> {
    const report = this.#report;
    report.selects(path, entry);
    const size = entry.typ === 'f' ? (entry.size ?? 0) : 0;
    if (!isSafePath(path) || (path === '/' && entry.typ !== 'd')) {
      report.failure('unsafe-path', path, 'is no path that could have been backed up, and is not restored');
      report.passed(size);
      return;
    }
    const blockedBy = this.#folders.blockedBy(path);
    if (blockedBy !== undefined) {
      report.failure('folder-blocked', path, `${displayPath(blockedBy)} above it is no folder in this run`);
      report.passed(size);
      return;
    }
    if (entry.typ !== 'd') this.#folders.leaf(path);
    for (const [above, folder] of this.#folders.take(path))
      this.#waiting.push({ path: above, entry: folder, content: undefined });
    this.#waiting.push({ path, entry, content: this.#fetchAhead(entry) });
    while (this.#waiting.length > WAITING) await this.#writeNext();
  }

  #fetchAhead(entry: FileSystemEntry): Promise<WholeContent> | undefined {
    if (entry.typ !== 'f' || this.#dryRun || isLong(entry)) return undefined;
    const key = linkKey(entry);
    if (key !== undefined) {
      if (this.#coming.has(key)) return undefined;
      this.#coming.add(key);
    }
    return this.#ahead.fetch(entry);
  }

  async #writeNext(): Promise<void> {
    const next = this.#waiting.shift();
    if (!next) return;
    const { path, entry } = next;
    const key = entry.typ === 'd' ? undefined : linkKey(entry);
    const first = key === undefined ? undefined : this.#firsts.get(key);
    // Folders above what was selected are no entries of their own in what is told.
    const isSelected = this.#select(path);
    if (isSelected) this.#tell(path, entry, first !== undefined);
    let came = true;
    if (!this.#dryRun)
      for (const [folder, again] of this.#folders.comes(path)) await this.#writeHeader(folder, again);
    if (entry.typ === 'f' && first === undefined && !this.#dryRun) came = await this.#writeFile(next, entry);
    else if (!this.#dryRun) await this.#writeOther(path, entry, first);
    if (came && key !== undefined && first === undefined) this.#firsts.set(key, path);
    if (isSelected && (entry.typ !== 'f' || first !== undefined || this.#dryRun))
      this.#report.passed(entry.typ === 'f' ? (entry.size ?? 0) : 0);
  }

  #tell(path: BytePath, entry: FileSystemEntry, isLink: boolean): void {
    const isContent = entry.typ === 'f' && !isLink;
    this.#report.acts({
      path,
      kind: entry.typ,
      does: isLink ? 'link' : 'create',
      bytes: isContent ? (entry.size ?? 0) : 0,
      requests: isContent ? requestsFor(entry.dat) : 0,
    });
  }

  async #writeOther(path: BytePath, entry: FileSystemEntry, linkTo?: BytePath): Promise<void> {
    await this.#writeHeader(path, entry, linkTo);
    if (entry.typ === 'd') this.#folders.went(path, entry);
  }

  async #writeHeader(path: BytePath, entry: FileSystemEntry, linkTo?: BytePath): Promise<void> {
    const { header, problems } = encodeEntry(path, entry, linkTo, this.#start);
    for (const problem of problems)
      this.#report.problem({
        severity: 'failure',
        code: 'not-in-tar',
        path,
        message: `${displayPath(path)}: ${problem}`,
      });
    await this.#output.write(header);
  }

  /** Whether it came through. */
  async #writeFile({ path, content }: Waiting, entry: FileEntry): Promise<boolean> {
    if (isLong(entry)) return await this.#writeLong(path, entry, entry.size);
    const { result, release } = await (content ?? this.#ahead.fetchAtOnce(entry));
    try {
      if ('error' in result) {
        this.#failed(path, entry, result.error);
        this.#report.passed(entry.size ?? 0);
        return false;
      }
      if ('size' in result) return await this.#writeLong(path, entry, result.size);
      const size = result.bytes.length;
      await this.#writeHeader(path, { ...entry, size });
      await this.#output.write(result.bytes);
      await this.#output.write(paddingAfter(size));
      this.#report.bytes = addUp(this.#report.bytes, size);
      this.#report.passed(size);
    } finally {
      release();
    }
    if (entry.dat !== null) this.#stop.fetched();
    return true;
  }

  async #writeLong(path: BytePath, entry: FileEntry, size: number): Promise<boolean> {
    const hash = createHash('sha256');
    const pieces = this.#fetcher.pieces(entry.dat, size)[Symbol.asyncIterator]();
    let written = 0;
    let began = false;
    let came = true;
    try {
      // The first piece beforehand: what cannot be had at all shall not be in the tar.
      let piece = await pieces.next();
      await this.#writeHeader(path, { ...entry, size });
      began = true;
      for (; !piece.done; piece = await pieces.next())
        for (let round = 0; round < piece.value.times; round += 1) {
          throwIfAborted(this.#signal);
          hash.update(piece.value.bytes);
          await this.#output.write(piece.value.bytes);
          written += piece.value.bytes.length;
          this.#report.advanced(piece.value.bytes.length);
        }
      checkSha(hash.digest('hex'), entry.sha);
      this.#stop.fetched();
      this.#report.bytes = addUp(this.#report.bytes, size);
    } catch (error) {
      if (this.#output.failure !== undefined) throw this.#output.failure;
      came = false;
      this.#failed(path, entry, error, began ? written : undefined);
    } finally {
      await pieces.return(undefined);
    }
    if (began) {
      await this.#output.zeros(size - written);
      await this.#output.write(paddingAfter(size));
    }
    this.#report.passed(size - written);
    return came;
  }

  /** `written`: bytes of it that have gone out after its header, where that has. */
  #failed(path: BytePath, entry: FileEntry, error: unknown, written?: number): void {
    throwIfAborted(this.#signal);
    this.#report.undone('create');
    // Once bytes of it are out, it is wrong in the tar, whatever the reason.
    if (written === undefined && this.#report.isFrozen(error, entry)) return;
    this.#stop.failed(error);
    if (this.#stop.error) throw this.#stop.error;
    const code = error instanceof SysbackupError && error.code === 'DAMAGED' ? 'damaged' : 'not-fetched';
    const filled =
      written === undefined ? '' : `; in the tar it is not right, and zeros from byte ${written} on`;
    this.#report.failure(code, path, messageOf(error) + filled);
  }
}

/** Whether a file is known to be too long to be fetched before its header goes out. */
function isLong(entry: FileEntry): entry is FileEntry & { size: number } {
  return entry.size !== undefined && entry.size > FETCHED_WHOLE;
}

/** The same for all paths of one inode; undefined where it has one only. */
function linkKey(entry: FileEntry | SymlinkEntry): string | undefined {
  if (entry.id === undefined) return undefined;
  return entry.typ === 'f'
    ? `f ${entry.id} ${entry.size} ${entry.sha}`
    : `l ${entry.id} ${linkTarget(entry)}`;
}
