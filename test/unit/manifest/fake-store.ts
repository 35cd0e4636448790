import { Readable } from 'node:stream';
import { SysbackupError } from '#src/errors.js';
import type {
  ByteRange,
  ListedVersion,
  ListPage,
  ObjectStore,
  Retention,
  VersionHead,
} from '#src/store/port.js';

interface Held {
  key: string;
  version: string;
  bytes: Buffer;
  received: number;
  deleteMarker: boolean;
  retention: Retention | undefined;
}

type Readings = Pick<ObjectStore, 'description' | 'get' | 'head' | 'list' | 'getRetention' | 'now'>;

/** What a reader sees of a store: versions in memory, and every request for one kept in `gets`. */
export class FakeStore implements Readings {
  readonly description = 'memory';
  /** The store's time in milliseconds. */
  time = Date.now();
  readonly gets: { key: string; version: string; range: ByteRange | undefined }[] = [];
  /** What `get` gives instead of a version's bytes, by `key@version`. */
  readonly replaced = new Map<string, () => Readable>();
  private readonly held: Held[] = [];
  private next = 1;

  add(key: string, bytes: Buffer, received = 0, retention?: Retention): string {
    const version = this.versionOf(this.next++);
    this.held.push({ key, version, bytes, received, deleteMarker: false, retention });
    return version;
  }

  protected versionOf(count: number): string {
    return `v${count}`;
  }

  addDeleteMarker(key: string, received = 0): void {
    const version = `v${this.next++}`;
    this.held.push({
      key,
      version,
      bytes: Buffer.alloc(0),
      received,
      deleteMarker: true,
      retention: undefined,
    });
  }

  async get(key: string, version: string, range?: ByteRange): Promise<Readable> {
    this.gets.push({ key, version, range });
    const replaced = this.replaced.get(`${key}@${version}`);
    if (replaced) return replaced();
    const { bytes } = this.find(key, version);
    const wanted = range ? bytes.subarray(range.start, range.end) : bytes;
    const pieces: Buffer[] = [];
    for (let at = 0; at < wanted.length; at += 1000) pieces.push(wanted.subarray(at, at + 1000));
    return Readable.from(pieces, { objectMode: false });
  }

  async head(key: string, version: string): Promise<VersionHead> {
    const { bytes, received, retention } = this.find(key, version);
    return {
      size: bytes.length,
      etag: undefined,
      metadata: {},
      retention,
      received,
      storageClass: undefined,
    };
  }

  async getRetention(key: string, version: string): Promise<Retention | undefined> {
    return this.find(key, version).retention;
  }

  async now(): Promise<number> {
    return this.time;
  }

  async list({ prefix, continuation }: { prefix: string; continuation?: string }): Promise<ListPage> {
    const rows = this.held
      .filter((held) => held.key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : b.received - a.received))
      .map(
        ({ key, version, bytes, received, deleteMarker }): ListedVersion => ({
          key,
          version,
          received,
          deleteMarker,
          size: bytes.length,
          etag: undefined,
          isLatest: false,
          storageClass: undefined,
        }),
      );
    // Small pages, so that every test of a listing tests paging too.
    const start = Number(continuation ?? 0);
    const next = start + 3 < rows.length ? String(start + 3) : undefined;
    return { versions: rows.slice(start, start + 3), next };
  }

  private find(key: string, version: string): Held {
    const found = this.held.find((held) => held.key === key && held.version === version);
    if (!found) throw new SysbackupError('NOT_FOUND', `there is no version ${version} of ${key}`);
    return found;
  }
}
