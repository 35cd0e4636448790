import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SysbackupError } from '../errors.js';
import type { DirectoryEntry } from '../manifest/types.js';

const PAGE = 4096;

/**
 * Folders whose metadata is set when all else is done, given back in the reverse of their order, those below
 * before those above. Beyond a page of them they wait in a file, however many there are.
 */
export class FolderSpool {
  readonly #path: string;
  readonly #page: DirectoryEntry[] = [];
  readonly #written: { start: number; length: number }[] = [];
  #file: FileHandle | undefined;

  /** `folder` is where the file goes, when there is need for it. */
  constructor(folder: string) {
    this.#path = join(folder, 'folders.jsonl');
  }

  async add(entry: DirectoryEntry): Promise<void> {
    this.#page.push(entry);
    if (this.#page.length >= PAGE) await this.#write();
  }

  /** In batches, last first. */
  async *reversed(): AsyncGenerator<DirectoryEntry[], void> {
    yield this.#page.toReversed();
    for (const { start, length } of this.#written.toReversed()) {
      const bytes = Buffer.alloc(length);
      await this.#file?.read(bytes, 0, length, start);
      // What is read here was validated before it was written.
      yield (JSON.parse(bytes.toString('utf8')) as DirectoryEntry[]).reverse();
    }
  }

  async remove(): Promise<void> {
    await this.#file?.close();
    await rm(this.#path, { force: true });
  }

  async #write(): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(this.#page));
    const last = this.#written.at(-1);
    const start = last ? last.start + last.length : 0;
    try {
      this.#file ??= await open(this.#path, 'wx+', 0o600);
      await this.#file.write(bytes, 0, bytes.length, start);
    } catch (error) {
      throw new SysbackupError('SYSTEM', `cannot write ${this.#path}: ${messageOf(error)}`, { cause: error });
    }
    this.#written.push({ start, length: bytes.length });
    this.#page.length = 0;
  }
}
