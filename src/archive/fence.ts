import type { ObjectTable } from '../catalog/object-table.js';
import type { CatalogHead } from '../catalog/head.js';
import { SysbackupError } from '../errors.js';
import { isAhead } from '../manifest/ahead.js';
import { type HiddenRun, hiddenRunOf } from '../manifest/hidden-runs.js';
import {
  bundleKey,
  contentKey,
  machineMark,
  type ManifestKey,
  manifestPrefix,
  parseManifestKey,
} from '../manifest/keys.js';
import {
  type HiddenData,
  isSameObject,
  listAll,
  type ListedVersion,
  type ObjectStore,
} from '../store/port.js';

/** What one look at the store says of a catalog. */
export interface FenceAnswer {
  /** The store still has the manifest that this machine stored last. */
  holds: boolean;
  /** In a directory: runs since that one, it included, that are there without a readable sidecar. */
  hidden: HiddenRun[];
  /** Keys of newer runs under the same backup name that are not this machine's. */
  foreign: string[];
  /** There are versions of that manifest with other bytes than this machine's. */
  doubled: boolean;
  /** Runs under the same backup name that were received after that one, of whichever machine, in that order. */
  later: LaterRun[];
  /** The id of this machine's last run that is listed: later than the catalog's where that could not be remembered. */
  lastRun: string;
}

/** A run that this machine's catalog does not know. */
export type LaterRun = Pick<ManifestKey, 'run' | 'outcome' | 'time'> & { received: number };

/**
 * Asks whether the store is the one the catalog remembers: one LIST, from this machine's last manifest on. It also
 * shows who else has written under the same backup name since.
 */
export async function checkFence(store: ObjectStore, head: CatalogHead): Promise<FenceAnswer> {
  const { key, version } = head.manifest;
  const prefix = manifestPrefix(head.backupName);
  const mark = machineMark(head.machine);
  const foreign: ListedVersion[] = [];
  let { run: lastRun } = head;
  const versions: ListedVersion[] = [];
  const later = new Map<string, LaterRun>();
  const hidden: HiddenRun[] = [];
  const hide = (data: HiddenData): void => {
    const run = hiddenRunOf(data);
    if (run !== undefined) hidden.push(run);
  };
  const range = { prefix, after: key.slice(0, -1) };
  // All keys after this one, the last manifest's own being the first of them.
  for await (const listed of listAll(store, range, hide)) {
    if (listed.deleteMarker) continue;
    if (listed.key === key) {
      versions.push(listed);
      continue;
    }
    const named = parseManifestKey(listed.key);
    if (named?.machine !== mark) foreign.push(listed);
    else if (named.run > lastRun) lastRun = named.run;
    if (named !== undefined) addOldest(later, { ...named, received: listed.received });
  }
  // One that a clock that was ahead once put behind all others would come up for years.
  const nowMs = foreign.length === 0 ? 0 : await store.now();
  const newer = foreign.filter((listed) => !isAhead(listed, nowMs)).map((listed) => listed.key);
  const own = versions.find((listed) => listed.version === version);
  // A PUT whose answer was lost is sent again, and leaves the same bytes twice.
  const doubled = own !== undefined && versions.some((listed) => !isSameObject(listed, own));
  const holds =
    own !== undefined || (hidden.some((run) => run.key === key) && (await hasData(store, key, version)));
  return {
    holds,
    hidden,
    foreign: [...new Set(newer)],
    doubled,
    lastRun,
    // A run dated in the future lies behind all others, and is to be counted once and not in each run.
    later: [...later.values()]
      .filter(({ received }) => received > (own?.received ?? 0))
      .sort((a, b) => a.received - b.received),
  };
}

/** Whether the bytes of a version are there, though no listing shows them. */
async function hasData(store: ObjectStore, key: string, version: string): Promise<boolean> {
  try {
    (await store.get(key, version)).destroy();
    return true;
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

function addOldest(runs: Map<string, LaterRun>, { run, outcome, time, received }: LaterRun): void {
  const known = runs.get(run);
  if (known === undefined || received <= known.received) runs.set(run, { run, outcome, time, received });
}

/** Whether the store lists a version. */
export async function isListed(store: ObjectStore, key: string, version: string): Promise<boolean> {
  return (await asListed(store, key, version)) !== undefined;
}

/** How the store lists a version. */
async function asListed(
  store: ObjectStore,
  key: string,
  version: string,
  onHidden?: (key: string) => void,
): Promise<ListedVersion | undefined> {
  for await (const found of listAll(store, { prefix: key }, (data) => onHidden?.(data.key)))
    if (found.key === key && found.version === version && !found.deleteMarker) return found;
  return undefined;
}

const SHARES = 7;

/** What asking after a share of the known objects has shown. */
export interface ShareAnswer {
  /** The store no longer lists them. */
  missing: number;
  /** It lists them with another length than was stored: keys. They count as gone. */
  otherLength: string[];
  /** In a directory: of the missing ones, those whose data is there without a readable sidecar. */
  hidden: number;
}

/**
 * Asks after a seventh of the objects the catalog knows, another one each run, and marks as gone what the store no
 * longer lists, or lists with another length than was stored. By key where that is fewer requests than reading the
 * pages of that part of `content/`, which other machines fill too.
 */
export async function askShare(store: ObjectStore, table: ObjectTable, turn: number): Promise<ShareAnswer> {
  const share = turn % SHARES;
  const first = Math.ceil((256 * share) / SHARES);
  const end = Math.ceil((256 * (share + 1)) / SHARES);
  const asking = new Asking(table);
  for (let row = 0; row < table.size; row++) {
    const byte = table.firstByte(row);
    if (byte >= first && byte < end && !table.isGone(row) && !table.isMember(row)) asking.missing.add(row);
  }
  const rest = await listShare(store, asking, first, end);
  await Promise.all(rest.map((row) => askOne(store, asking, row)));
  await askBundles(store, asking, share);
  return asking.answer();
}

/** What is asked after, and what is known of it by now. */
class Asking {
  readonly table: ObjectTable;
  /** Rows that no listing has shown. */
  readonly missing = new Set<number>();
  /** Keys of what is there, but cannot be listed. */
  readonly hidden = new Set<string>();
  readonly otherLength: string[] = [];
  #bundlesMissing: string[] = [];

  constructor(table: ObjectTable) {
    this.table = table;
  }

  /** A listing shows a row's version. */
  found(row: number, listed: ListedVersion): void {
    this.missing.delete(row);
    const known = this.table.storedSize(row);
    if (hasOtherLength(listed, known)) {
      this.table.markGone(row);
      this.otherLength.push(listed.key);
    } else if (known === undefined) this.table.learnSize(row, listed.size);
  }

  foundBundle(bundle: number, key: string, listed: ListedVersion | undefined): void {
    const { bundles } = this.table;
    const { stored } = bundles.get(bundle);
    if (listed !== undefined && !hasOtherLength(listed, stored)) {
      if (stored === undefined) bundles.learnSize(bundle, listed.size);
      return;
    }
    bundles.markGone(bundle);
    if (listed === undefined) this.#bundlesMissing.push(key);
    else this.otherLength.push(key);
  }

  answer(): ShareAnswer {
    const keys = [...this.missing].map((row) => keyOf(this.table, row)).concat(this.#bundlesMissing);
    for (const row of this.missing) this.table.markGone(row);
    const hidden = keys.filter((key) => this.hidden.has(key)).length;
    return { missing: keys.length, otherLength: this.otherLength, hidden };
  }
}

function hasOtherLength({ size, storedSize }: ListedVersion, known: number | undefined): boolean {
  return storedSize !== undefined || (known !== undefined && known !== size);
}

function keyOf(table: ObjectTable, row: number): string {
  return contentKey(table.sha(row).toString('hex'));
}

async function askOne(store: ObjectStore, asking: Asking, row: number): Promise<void> {
  const { table } = asking;
  const found = await asListed(store, keyOf(table, row), table.version(row), (key) => asking.hidden.add(key));
  if (found !== undefined) asking.found(row, found);
}

/** Bundles are few: each is asked for by itself. */
async function askBundles(store: ObjectStore, asking: Asking, share: number): Promise<void> {
  const { bundles } = asking.table;
  const asked: Promise<void>[] = [];
  for (let bundle = share; bundle < bundles.size; bundle += SHARES) {
    const { sha, version } = bundles.get(bundle);
    const key = bundleKey(sha.toString('hex'));
    const answer = asListed(store, key, version, (hidden) => asking.hidden.add(hidden));
    asked.push(answer.then((found) => asking.foundBundle(bundle, key, found)));
  }
  await Promise.all(asked);
}

/** Reads pages and takes what they list out of the missing ones. Returns the rows that are better asked for one by one. */
async function listShare(store: ObjectStore, asking: Asking, first: number, end: number): Promise<number[]> {
  const { table, missing } = asking;
  if (missing.size === 0) return [];
  const endKey = end > 255 ? 'content0' : `content/${hexByte(end)}`;
  let continuation: string | undefined;
  let reached = '';
  let left = [...missing];
  for (let pages = 0; ; pages++) {
    left = left.filter((row) => keyOf(table, row) > reached);
    if (left.length <= 1 || pages > left.length) return left;
    const page = await store.list({
      prefix: 'content/',
      ...(continuation === undefined ? { after: `content/${hexByte(first)}` } : { continuation }),
    });
    for (const found of page.versions) strike(found, asking);
    for (const { key } of page.hidden ?? []) asking.hidden.add(key);
    const last = page.versions.at(-1)?.key;
    if (page.next === undefined || last === undefined || last >= endKey) return [];
    continuation = page.next;
    reached = last;
  }
}

function strike(found: ListedVersion, asking: Asking): void {
  const { table, missing } = asking;
  const hex = found.key.slice('content/'.length);
  if (found.deleteMarker || hex.length !== 64) return;
  const row = table.find(Buffer.from(hex, 'hex'));
  if (row >= 0 && missing.has(row) && table.version(row) === found.version) asking.found(row, found);
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
