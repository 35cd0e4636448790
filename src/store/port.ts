import type { Readable } from 'node:stream';

/**
 * The port behind which a bucket, a directory or a store in memory stands. It has no delete, and every read
 * names a version: what a key holds "now" is nobody's business, since anyone with the right to add can change it.
 */
export interface ObjectStore {
  /** How to call it in messages: `s3://bucket/prefix`, `/srv/backup`. */
  readonly description: string;
  /**
   * What makes it this store and no other: endpoint, bucket and prefix, or the directory's real path and its marker's id.
   * A catalog belongs to one identity.
   */
  readonly identity: string;
  /**
   * Of a directory on a file system of this machine: its path, from which threads may read what `get` gives (see
   * `LocalVersions`).
   */
  readonly localRoot?: string | undefined;
  /** Of a directory, whose data can be damaged like any file's: what it can tell of that. */
  readonly damage?: StoreDamage | undefined;
  /**
   * Of a store behind a network, where answers get lost: whether an ETag of 32 hex digits that it lists is an MD5 sum,
   * as far as is known. What must not be lost is listed after it was put. Undefined: an answer is enough.
   */
  readonly etags?: 'md5' | 'opaque' | undefined;
  /** Stores one new version, locked from the moment it exists. Never replaces or hides silently what is there. */
  put(request: PutRequest): Promise<StoredVersion>;
  /**
   * The bytes of one version, or of a range of it, in buffers that are the reader's to free. Throws `NOT_FOUND` where
   * it does not exist.
   */
  get(key: string, version: string, range?: ByteRange): Promise<Readable>;
  /** Size, ETag and metadata of one version. Throws `NOT_FOUND`. */
  head(key: string, version: string): Promise<VersionHead>;
  /** One page of versions and delete markers: keys ascending by bytes, of one key the newest first. */
  list(request: ListRequest): Promise<ListPage>;
  /** The version's lock; undefined where it has none. Throws `NOT_FOUND`. */
  getRetention(key: string, version: string): Promise<Retention | undefined>;
  /** Moves the version's lock further out. A lock that is longer already, or stricter, is refused: `ACCESS_DENIED`. */
  extendRetention(key: string, version: string, retention: Retention): Promise<void>;
  /** Whether the store keeps versions and enforces locks. */
  capabilities(): Promise<StoreCapabilities>;
  /**
   * The store's time in milliseconds since the epoch: the time that the first answer carried which succeeded and was
   * understood, plus what a monotonic clock counted since. Where there is none yet, one row is listed.
   *
   * @param prefix below which that may be listed. Default: everything
   */
  now(prefix?: string): Promise<number>;
  /** Frees sockets and descriptors. The store is not used afterwards. */
  close(): Promise<void>;
}

export type RetentionMode = 'GOVERNANCE' | 'COMPLIANCE';

export interface Retention {
  mode: RetentionMode;
  /** End of the lock in whole seconds since the epoch. */
  until: number;
}

export interface PutRequest {
  key: string;
  body: ObjectBody;
  /** Undefined only where the store has no Object Lock and the settings allow that. */
  retention: Retention | undefined;
  /** Any text: the store encodes it for its wire (see metadata.ts). */
  metadata?: Readonly<Record<string, string>>;
  /** Default: the store's own (STANDARD). */
  storageClass?: string;
}

/**
 * Bytes in memory, or pieces of memory and of files in order. `md5` is of the whole, in hex; `crc32` too, a number
 * (gzip's, RFC 1952), by which a store that checks what it is given does so where it is there: at a tenth of the time
 * it tells too that bytes changed between being hashed and being stored.
 */
export type ObjectBody = { md5: string; size: number; crc32?: number } & (
  | { bytes: Uint8Array }
  | { pieces: readonly BodyPiece[] }
);

export type BodyPiece = Uint8Array | { path: string; start: number; end: number };

export interface StoredVersion {
  version: string;
}

export interface VersionHead {
  size: number;
  /** Without quotes; undefined where the store gives none. */
  etag: string | undefined;
  /** Decoded text, keys in lower case. */
  metadata: Record<string, string>;
  retention: Retention | undefined;
  /** Milliseconds since the epoch at which the store received it. */
  received: number;
  storageClass: string | undefined;
}

export interface ByteRange {
  start: number;
  /** Exclusive. */
  end: number;
}

export interface ListRequest {
  prefix: string;
  /** Only keys after this one (exclusive). */
  after?: string;
  /** Of an earlier page's `next`. */
  continuation?: string;
  /** At most this many rows. Default and maximum 1000. */
  limit?: number;
  /** Milliseconds after which it has failed, however often it may be repeated. Default: the store's own limits. */
  withinMs?: number;
}

export interface ListPage {
  versions: ListedVersion[];
  /** Data in the page's range that is no row, although it is there. Undefined: none. */
  hidden?: HiddenData[] | undefined;
  /** To ask for the next page with; undefined at the end. */
  next: string | undefined;
}

export interface ListedVersion {
  key: string;
  version: string;
  size: number;
  /** The length that was stored, where the store has kept that apart and the data is longer or shorter: damaged. */
  storedSize?: number;
  /** Without quotes; undefined for delete markers and where the store gives none. */
  etag: string | undefined;
  received: number;
  isLatest: boolean;
  deleteMarker: boolean;
  storageClass: string | undefined;
}

/** Data in a directory without a readable sidecar: nothing tells which version it is, nor how it is locked. */
export interface HiddenData {
  key: string;
  /** As the name of its file has it; undefined where only its bytes tell. */
  version: string | undefined;
  /** Path of the sidecar below the root. */
  sidecar: string;
  /** There is no such file; false: it cannot be read as a sidecar. */
  missing: boolean;
  /** The directory. */
  root: string;
}

/** A version of a key, as names of both. */
export interface VersionName {
  key: string;
  version: string;
}

export interface StoreDamage {
  /** Versions whose damaged data was moved out of its place; it may have been stored again since. */
  setAside(): Promise<VersionName[]>;
  /**
   * Whether the data of a version is what was stored, by reading and hashing it. True without a look where reading is
   * not cheap: the directory is not on a file system of this machine. Throws `NOT_FOUND`.
   */
  isIntact(key: string, version: string): Promise<boolean>;
}

export interface StoreCapabilities {
  objectLock: boolean;
  versioning: boolean;
}

/** Whether two versions have the same bytes as far as a listing tells: an ETag of SSE-KMS never says so. */
export function isSameObject(a: ListedVersion, b: ListedVersion): boolean {
  return a.size === b.size && a.etag !== undefined && a.etag === b.etag;
}

/** All pages of a listing, one version after the other. `onHidden` hears of what no listing shows. */
export async function* listAll(
  store: Pick<ObjectStore, 'list'>,
  request: Omit<ListRequest, 'continuation'>,
  onHidden?: (hidden: HiddenData) => void,
): AsyncGenerator<ListedVersion> {
  let continuation: string | undefined;
  do {
    const page: ListPage = await store.list(
      continuation === undefined ? request : { ...request, continuation },
    );
    if (onHidden !== undefined) for (const hidden of page.hidden ?? []) onHidden(hidden);
    yield* page.versions;
    continuation = page.next;
  } while (continuation !== undefined);
}
