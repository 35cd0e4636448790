import { closeSync, constants, openSync, readSync } from 'node:fs';
import { checkKey, furtherSlot, isVersion, primarySlot } from './directory-layout.js';
import { readSidecarSync } from './directory-sidecar.js';
import { sizeOfSync } from './directory-size.js';
import type { ByteRange } from './port.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** Bundles kept open: their members are asked for one after the other. */
const KEPT_OPEN = 4;

interface OpenVersion {
  fd: number;
  size: number;
}

/**
 * Reads versions of a directory store on a local file system (`ObjectStore.localRoot`) in the calling thread, which
 * waits for it. Says only that something cannot be read: what is wrong with it, the store's `get` tells. To be closed.
 */
export class LocalVersions {
  readonly #root: string;
  /** Least recently used first. */
  readonly #open = new Map<string, OpenVersion>();

  constructor(root: string) {
    this.#root = root;
  }

  /** How many bytes a version has; undefined where it cannot be read. */
  sizeOf(key: string, version: string): number | undefined {
    return this.#opened(key, version)?.size;
  }

  /** Fills `into` with a range of exactly that length. False where it cannot. */
  read(key: string, version: string, { start, end }: ByteRange, into: Uint8Array): boolean {
    const opened = this.#opened(key, version);
    if (!opened || end > opened.size || into.length !== end - start) return false;
    try {
      for (let done = 0; done < into.length; ) {
        const read = readSync(opened.fd, into, done, into.length - done, start + done);
        if (read === 0) return false;
        done += read;
      }
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #opened(key: string, version: string): OpenVersion | undefined {
    const name = `${key}@${version}`;
    const known = this.#open.get(name);
    this.#open.delete(name);
    const opened = known ?? this.#find(key, version);
    if (!opened) return undefined;
    this.#open.set(name, opened);
    for (const [oldest, { fd }] of this.#open) {
      if (this.#open.size <= KEPT_OPEN) break;
      this.#open.delete(oldest);
      closeSync(fd);
    }
    return opened;
  }

  #find(key: string, version: string): OpenVersion | undefined {
    try {
      checkKey(key);
      if (!isVersion(version)) return undefined;
      for (const { data, sidecar } of [primarySlot(this.#root, key), furtherSlot(this.#root, key, version)]) {
        const found = readSidecarSync(sidecar);
        if (found === 'absent' || found === 'unreadable' || found.version !== version) continue;
        const size = sizeOfSync(data);
        if (size !== undefined) return { fd: openSync(data, READ), size };
      }
    } catch {
      // A matter for the store.
    }
    return undefined;
  }
}
