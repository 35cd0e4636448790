import { throwIfAborted } from '../errors.js';
import { applyMetadata } from '../files/apply.js';
import type { BytePath } from '../files/byte-path.js';
import { OpenFileHandle } from '../files/handle.js';
import { type SafeDir, temporaryName } from '../files/safe-dir.js';
import type { FileEntry } from '../manifest/types.js';
import { type ContentFetcher, isSmall } from './fetch-content.js';
import { type MetadataSetter, type NotSet, notSetOf } from './metadata.js';
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
    return this.#parts.threads !== undefined && isSmall(dat, size);
  }

  /** Throws as `writeFile` and what fetches the content do; then nothing is left of the file. */
  async write(
    dir: SafeDir,
    name: BytePath,
    entry: FileEntry,
    onBytes: (bytes: number) => void,
  ): Promise<Written> {
    const { threads } = this.#parts;
    if (!threads || !isSmall(entry.dat, entry.size)) return this.#inPieces(dir, name, entry, onBytes);
    const written = await this.#byThread(threads, dir, name, { ...entry, size: entry.size });
    if (written === undefined) return this.#inPieces(dir, name, entry, onBytes);
    onBytes(entry.size);
    return written;
  }

  /** Undefined: its thread has crashed. */
  async #byThread(
    threads: SmallFileWriters,
    dir: SafeDir,
    name: BytePath,
    entry: FileEntry & { size: number },
  ): Promise<Written | undefined> {
    const { fetcher, metadata, onFetched, signal } = this.#parts;
    const { size, sha } = entry;
    const stored = await fetcher.stored(entry.dat, size);
    try {
      if (entry.dat !== null) onFetched();
      throwIfAborted(signal);
      const { wanted, problems } = metadata.wanted(entry);
      const { enc, what } = stored;
      const file = { folder: dir.fd, name, temporary: temporaryName(), enc, what, size, sha, wanted };
      const wantsInode = entry.id !== undefined;
      const written = await threads.write({ ...file, wantsInode }, stored.bytes);
      if (written === 'undone') return undefined;
      return { inodeId: written.inodeId ?? '', notSet: notSetOf(problems, written.notSet) };
    } finally {
      stored.release();
    }
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
