import { createHash } from 'node:crypto';
import type { Encoding } from '../config/compression.js';
import { decodeStream } from '../content/decode.js';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import { DirectoryMending } from '../store/directory-mending.js';
import type { ObjectStore, Retention } from '../store/port.js';
import { storedPieces } from './stored-pieces.js';

const SHA_OF_KEY = /^(?:content\/([0-9a-f]{64})|bundles\/([0-9a-f]{64})\.tar)$/;
/** How the encodings begin: RFC 1952, RFC 8878. */
const MAGIC: readonly { enc: Encoding; bytes: Buffer }[] = [
  { enc: 'gzip', bytes: Buffer.from([0x1f, 0x8b]) },
  { enc: 'zstd', bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
];

/** What was done in a directory store about what is wrong in it. */
export interface Mended {
  /** Versions whose data was moved to `set-aside/`. */
  setAside: number;
  /** Versions whose data is missing, noted there so that the machines store it again. */
  noted: number;
  /** Sidecars that were written again. */
  sidecars: number;
}

type MendedStore = Pick<ObjectStore, 'get'>;

/** Mends a directory store for a verification. To be closed. */
export class Mender {
  readonly mended: Mended = { setAside: 0, noted: 0, sidecars: 0 };
  readonly #store: MendedStore;
  readonly #mending: DirectoryMending;
  readonly #signal: AbortSignal | undefined;

  private constructor(store: MendedStore, mending: DirectoryMending, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#mending = mending;
    this.#signal = signal;
  }

  static async open(store: MendedStore, path: string, signal: AbortSignal | undefined): Promise<Mender> {
    return new Mender(store, await DirectoryMending.open(path), signal);
  }

  async close(): Promise<void> {
    await this.#mending.close();
  }

  /**
   * Moves a version away whose bytes, read once more, are not those that were stored. Returns what was done, in words.
   *
   * @param isWrong default: {@link isNotAsStored}
   */
  async setAside(key: string, version: string, isWrong?: () => Promise<boolean>): Promise<string> {
    try {
      const stillWrong = isWrong ?? (() => isNotAsStored(this.#store, key, version, this.#signal));
      const to = await this.#mending.setAside(key, version, stillWrong);
      if (to === undefined) return 'left in its place: read once more, it is what was stored';
      this.mended.setAside++;
      return `set aside: ${to}`;
    } catch (error) {
      throwIfAborted(this.#signal);
      if (!(error instanceof SysbackupError) || error.code === 'ACCESS_DENIED') throw error;
      return `left in its place: ${messageOf(error)}`;
    }
  }

  /** Notes that the data of a version is gone, where a machine could store it again. Returns what was done, in words. */
  async noteMissing(key: string, version: string): Promise<string | undefined> {
    // A snapshot has a key of its own in each run.
    if (!SHA_OF_KEY.test(key)) return undefined;
    const to = await this.#mending.noteMissing(key, version);
    this.mended.noted++;
    return `noted: ${to}`;
  }

  /**
   * Writes the sidecar of a version whose data is there and right, with this lock. False where there is no such data.
   *
   * @param enc how the bytes are encoded; undefined: not, or (of bundles) their first bytes tell
   */
  async showAgain(
    key: string,
    version: string,
    retention: Retention | undefined,
    enc: Encoding | undefined,
  ): Promise<boolean> {
    const found = await this.#mending.versionWithoutSidecar(key, version);
    if (found === undefined) return false;
    const { slot, size, received } = found;
    const isBundle = key.startsWith('bundles/');
    const encoding = enc ?? (isBundle ? await encodingOf(this.#store, key, version) : undefined);
    const metadata: Record<string, string> = encoding === undefined ? {} : { 'storage-encoding': encoding };
    await this.#mending.writeSidecar(key, slot, { version, size, metadata, retention, received });
    this.mended.sidecars++;
    return true;
  }
}

/**
 * Whether the bytes of a version in a directory are others than were stored, or hold another content than their key
 * says. What a manifest says of them does not count: it may be what is wrong.
 */
async function isNotAsStored(
  store: MendedStore,
  key: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const md5 = createHash('md5');
  const sha = createHash('sha256');
  for await (const piece of storedPieces(store, key, version, signal)) {
    md5.update(piece);
    sha.update(piece);
  }
  if (md5.digest('hex') !== version) return true;
  const [, content, bundle] = SHA_OF_KEY.exec(key) ?? [];
  if (bundle !== undefined) return sha.digest('hex') !== bundle;
  return content !== undefined && (await holdsOther(store, key, version, content, signal));
}

/** As they are, and unpacked as their first bytes suggest. */
async function holdsOther(
  store: MendedStore,
  key: string,
  version: string,
  expected: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (const enc of [undefined, await encodingOf(store, key, version)]) {
    const sha = createHash('sha256');
    try {
      const pieces = storedPieces(store, key, version, signal);
      const what = versionName(key, version);
      for await (const piece of decodeStream(pieces, enc, { size: undefined, what })) sha.update(piece);
      if (sha.digest('hex') === expected) return false;
    } catch (error) {
      if (!(error instanceof SysbackupError) || error.code !== 'DAMAGED') throw error;
    }
  }
  return true;
}

/** What the first bytes suggest. */
async function encodingOf(store: MendedStore, key: string, version: string): Promise<Encoding | undefined> {
  const pieces: Buffer[] = [];
  for await (const piece of await store.get(key, version, { start: 0, end: 4 })) pieces.push(piece as Buffer);
  const begin = Buffer.concat(pieces);
  return MAGIC.find(({ bytes }) => bytes.equals(begin.subarray(0, bytes.length)))?.enc;
}
