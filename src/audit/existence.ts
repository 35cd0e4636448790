import { throwIfAborted } from '../errors.js';
import { compareKeys } from '../store/key-order.js';
import type { ListedVersion, ObjectStore } from '../store/port.js';
import { sideBySide } from './side-by-side.js';
import type { VersionTable } from './version-table.js';

export interface FindVersionsOptions {
  store: Pick<ObjectStore, 'list'>;
  table: VersionTable;
  /** Told each row whose version the store lists, and how it is listed. */
  found: (row: number, listed: ListedVersion) => void;
  /** Told now and then how many more rows have been decided. */
  onDecided?: ((rows: number) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Listings that go on at the same time. */
const LANES = 16;
/** A page that held so many of the wanted keys is likely followed by one that holds some. */
const DENSE = 10;

/**
 * Finds out by listings which of the table's versions exist. Each page begins at the next key that is wanted, so what
 * lies between two wanted keys costs nothing once it is longer than a page: the requests are about as many as there
 * are pages or as there are wanted keys, whichever is fewer.
 */
export async function findVersions(options: FindVersionsOptions): Promise<void> {
  const { table } = options;
  for (const kind of ['content', 'bundle', 'other'] as const) {
    const rows = table.sorted(kind);
    for (let start = 0, end = 0; start < rows.length; start = end) {
      const folder = folderOf(table.key(rows[start] ?? 0));
      if (kind === 'other') {
        end = start + 1;
        while (end < rows.length && folderOf(table.key(rows[end] ?? 0)) === folder) end++;
      } else end = rows.length;
      await new Folder(folder, rows.subarray(start, end), options).find();
    }
  }
}

function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

/** The wanted versions in one folder of keys. */
class Folder {
  readonly #prefix: string;
  readonly #rows: Uint32Array;
  readonly #options: FindVersionsOptions;

  constructor(prefix: string, rows: Uint32Array, options: FindVersionsOptions) {
    this.#prefix = prefix;
    this.#rows = rows;
    this.#options = options;
  }

  async find(): Promise<void> {
    const end = this.#rows.length;
    const first = new Walk(this.#prefix, this.#rows, 0, end, this.#options);
    // How far one page reaches tells how many there will be; a few are not worth more than one listing.
    await first.page();
    const pages = (end - first.at) / Math.max(1, first.at);
    const lanes = Math.min(LANES, Math.floor(pages / 2));
    if (lanes < 2) {
      await first.toTheEnd();
      return;
    }
    const length = Math.ceil((end - first.at) / lanes);
    const starts = Array.from({ length: lanes }, (_, lane) => first.at + lane * length);
    await sideBySide(starts, lanes, (start) =>
      new Walk(this.#prefix, this.#rows, start, Math.min(start + length, end), this.#options).toTheEnd(),
    );
  }
}

/** One listing through a stretch of the wanted rows. */
class Walk {
  /** The first row that is not decided. */
  at: number;
  readonly #prefix: string;
  readonly #rows: Uint32Array;
  readonly #end: number;
  readonly #options: FindVersionsOptions;
  #continuation: string | undefined;
  /** The wanted versions of the key at `at`. */
  #group: { key: string; end: number; wanted: Map<string, number[]> } | undefined;

  constructor(prefix: string, rows: Uint32Array, at: number, end: number, options: FindVersionsOptions) {
    this.#prefix = prefix;
    this.#rows = rows;
    this.at = at;
    this.#end = end;
    this.#options = options;
    this.#open();
  }

  async toTheEnd(): Promise<void> {
    while (this.#group !== undefined) await this.page();
  }

  /** Asks for one page and decides what it shows. */
  async page(): Promise<void> {
    if (this.#group === undefined) return;
    const { store, signal, onDecided } = this.#options;
    throwIfAborted(signal);
    const { versions, next } = await store.list({ prefix: this.#prefix, ...this.#from(this.#group.key) });
    const before = this.at;
    this.#take(versions);
    if (next === undefined) this.#moveTo(this.#end);
    // Where the page ends amid the versions of a wanted key, or the next key is near, the next page goes on there.
    const amid = this.#group?.key === versions.at(-1)?.key;
    const decided = this.at - before;
    this.#continuation = amid || decided === 0 || decided >= DENSE ? next : undefined;
    onDecided?.(decided);
  }

  #from(key: string): { continuation: string } | { after: string } | object {
    if (this.#continuation !== undefined) return { continuation: this.#continuation };
    // Nothing worth mentioning lies between a key and itself without its last character.
    const after = Array.from(key).slice(0, -1).join('');
    return after.length <= this.#prefix.length ? {} : { after };
  }

  #take(versions: readonly ListedVersion[]): void {
    for (const listed of versions) {
      const { key, version, deleteMarker } = listed;
      while (this.#group !== undefined && compareKeys(this.#group.key, key) < 0)
        this.#moveTo(this.#group.end);
      const group = this.#group;
      if (group === undefined) return;
      if (group.key !== key || deleteMarker) continue;
      for (const row of group.wanted.get(version) ?? []) this.#options.found(row, listed);
      group.wanted.delete(version);
      if (group.wanted.size === 0) this.#moveTo(group.end);
    }
  }

  #moveTo(at: number): void {
    this.at = at;
    this.#open();
  }

  #open(): void {
    this.#group = undefined;
    const first = this.#rows[this.at];
    if (this.at >= this.#end || first === undefined) return;
    const { table } = this.#options;
    const key = table.key(first);
    const wanted = new Map<string, number[]>();
    let end = this.at;
    for (; end < this.#end; end++) {
      const row = this.#rows[end];
      if (row === undefined || table.key(row) !== key) break;
      const same = wanted.get(table.version(row));
      if (same === undefined) wanted.set(table.version(row), [row]);
      else same.push(row);
    }
    this.#group = { key, end, wanted };
  }
}
