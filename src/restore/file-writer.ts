import { abortedError } from '../errors.js';
import { applyMetadata } from '../files/apply.js';
import type { BytePath } from '../files/byte-path.js';
import { OpenFileHandle } from '../files/handle.js';
import { type SafeDir, temporaryName } from '../files/safe-dir.js';
import type { DataRef, FileEntry, ObjectRef } from '../manifest/types.js';
import { type ContentFetcher, isSmall, type StoredContent } from './fetch-content.js';
import { type MetadataSetter, type NotSet, notSetOf } from './metadata.js';
import { kept } from './section-memory.js';
import type { LocalPart, SmallFile, WrittenFile } from './small-files.js';
import type { SmallFileWriters } from './small-file-writers.js';
import { writeFile } from './write-file.js';

/** A file that is in its place. */
export interface Written {
  /** Known only where the entry says that the file has other names. */
  inodeId: string;
  /** What of its metadata could not be set. */
  notSet: NotSet[];
}

export interface FileWriterParts {
  fetcher: ContentFetcher;
  metadata: MetadataSetter;
  /** Undefined: the calling thread does all. */
  threads: SmallFileWriters | undefined;
  /** Whether the threads can read the store by themselves. */
  isLocal: boolean;
  /** Called when content has come from the store. */
  onFetched: () => void;
  signal: AbortSignal | undefined;
}

/** Fetches files and puts them in their places: small ones by threads, others piece by piece. */
export class FileWriter {
  readonly #parts: FileWriterParts;

  constructor(parts: FileWriterParts) {
    this.#parts = parts;
  }

  /** Whether this file is given to a thread, so that many may be under way. */
  isQuick({ dat, size }: FileEntry): boolean {
    const { threads, isLocal } = this.#parts;
    return threads !== undefined && (isSmall(dat, size) || (isLocal && canBeReadByThread(dat, size)));
  }

  /** Throws as `writeFile` and what fetches the content do; then nothing is left of the file. */
  write(dir: SafeDir, name: BytePath, entry: FileEntry, onBytes: (bytes: number) => void): Promise<Written> {
    const { threads, isLocal, onFetched } = this.#parts;
    const { dat, size } = entry;
    const parts = isLocal && size !== undefined ? partsOf(dat, size) : undefined;
    if (!threads || size === undefined || !(parts || isSmall(dat, size)))
      return this.#inPieces(dir, name, entry, onBytes);
    const { wanted, problems } = this.#parts.metadata.wanted(entry);
    const file: SmallFile = {
      folder: dir.fd,
      name,
      temporary: temporaryName(),
      enc: undefined,
      what: '',
      size,
      sha: entry.sha,
      wanted,
      wantsInode: entry.id !== undefined,
      parts,
    };
    const written = parts ? threads.write(file, NOTHING) : this.#withBytes(threads, file, dat);
    return written.then((done) => {
      if (done === 'undone') return this.#inPieces(dir, name, entry, onBytes);
      if (parts && dat !== null) onFetched();
      onBytes(size);
      return { inodeId: done.inodeId ?? '', notSet: notSetOf(problems, done.notSet) };
    });
  }

  #withBytes(threads: SmallFileWriters, file: SmallFile, dat: DataRef): Promise<WrittenFile | 'undone'> {
    const { fetcher, onFetched, signal } = this.#parts;
    const write = (stored: StoredContent): Promise<WrittenFile | 'undone'> => {
      if (dat !== null) onFetched();
      if (signal?.aborted) {
        stored.lent.release();
        return Promise.reject(abortedError(signal.reason));
      }
      file.enc = stored.enc;
      file.what = stored.what;
      return threads.write(file, stored.lent);
    };
    const stored = fetcher.stored(dat, file.size);
    // Most are here already, and a promise for each costs more than the rest of it.
    return stored instanceof Promise ? stored.then(write) : write(stored);
  }

  async #inPieces(
    dir: SafeDir,
    name: BytePath,
    entry: FileEntry,
    onBytes: (bytes: number) => void,
  ): Promise<Written> {
    const { fetcher, metadata, onFetched, signal } = this.#parts;
    const { wanted, problems } = metadata.wanted(entry);
    let notSet: NotSet[] = [];
    const complete = (fd: number): void => {
      if (entry.dat !== null) onFetched();
      notSet = notSetOf(problems, applyMetadata(new OpenFileHandle(fd), wanted));
    };
    const content = { sha: entry.sha, size: entry.size, pieces: fetcher.pieces(entry.dat, entry.size) };
    const inodeId = await writeFile(dir, name, content, { onBytes, complete, signal });
    return { inodeId, notSet };
  }
}

const NOTHING = kept(new Uint8Array(0));
/** A file of more bytes is not given to one thread: several blocks of it are unpacked at a time. */
const MOST_BY_THREAD = 64 * 1024 * 1024;
/** A thread has blocks whole in memory. */
const LONGEST_BLOCK = 32 * 1024 * 1024;

function canBeReadByThread(dat: DataRef, size: number | undefined): boolean {
  if (size === undefined || size > MOST_BY_THREAD) return false;
  if (Array.isArray(dat)) return dat.every((block) => block.size <= LONGEST_BLOCK);
  return dat === null ? size === 0 : size <= LONGEST_BLOCK && dat.encIn === undefined;
}

function partsOf(dat: DataRef, size: number): LocalPart[] | undefined {
  if (!canBeReadByThread(dat, size)) return undefined;
  if (dat === null) return [];
  if (!Array.isArray(dat)) return [partOf(dat, size, 1)];
  return dat.map((block) => partOf(block, block.size, block.n ?? 1));
}

function partOf({ key, ver, enc, off, len }: ObjectRef, size: number, times: number): LocalPart {
  return { key, ver, enc, off, len, size, times };
}
