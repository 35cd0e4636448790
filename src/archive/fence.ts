import type { BundleTable } from '../catalog/bundle-table.js';
import type { ObjectTable } from '../catalog/object-table.js';
import type { CatalogHead } from '../catalog/head.js';
import { bundleKey, contentKey, machineMark, manifestPrefix, parseManifestKey } from '../manifest/keys.js';
import { isSameObject, listAll, type ListedVersion, type ObjectStore } from '../store/port.js';

/** What one look at the store says of a catalog. */
export interface FenceAnswer {
  /** The store still lists the manifest that this machine stored last. */
  holds: boolean;
  /** Keys of newer runs under the same backup name that are not this machine's. */
  foreign: string[];
  /** There are versions of that manifest with other bytes than this machine's. */
  doubled: boolean;
  /** The id of this machine's last run that is listed: later than the catalog's where that could not be remembered. */
  lastRun: string;
}

/**
 * Asks whether the store is the one the catalog remembers: one LIST, from this machine's last manifest on. It also
 * shows who else has written under the same backup name since.
 */
export async function checkFence(store: ObjectStore, head: CatalogHead): Promise<FenceAnswer> {
  const { key, version } = head.manifest;
  const prefix = manifestPrefix(head.backupName);
  const mark = machineMark(head.machine);
  const foreign = new Set<string>();
  let { run: lastRun } = head;
  const versions: ListedVersion[] = [];
  // All keys after this one, the last manifest's own being the first of them.
  for await (const listed of listAll(store, { prefix, after: key.slice(0, -1) })) {
    if (listed.deleteMarker) continue;
    const named = parseManifestKey(listed.key);
    if (listed.key === key) versions.push(listed);
    else if (named?.machine !== mark) foreign.add(listed.key);
    else if (named.run > lastRun) lastRun = named.run;
  }
  const own = versions.find((listed) => listed.version === version);
  // A PUT whose answer was lost is sent again, and leaves the same bytes twice.
  const doubled = own !== undefined && versions.some((listed) => !isSameObject(listed, own));
  return { holds: own !== undefined, foreign: [...foreign], doubled, lastRun };
}

/** Whether the store lists a version. */
export async function isListed(store: ObjectStore, key: string, version: string): Promise<boolean> {
  for await (const listed of listAll(store, { prefix: key })) {
    if (listed.key === key && listed.version === version && !listed.deleteMarker) return true;
  }
  return false;
}

const SHARES = 7;

/**
 * Asks after a seventh of the objects the catalog knows, another one each run, and marks as gone what the store no
 * longer lists. By key where that is fewer requests than reading the pages of that part of `content/`, which other
 * machines fill too. Returns how many are gone.
 */
export async function askShare(store: ObjectStore, table: ObjectTable, turn: number): Promise<number> {
  const share = turn % SHARES;
  const first = Math.ceil((256 * share) / SHARES);
  const end = Math.ceil((256 * (share + 1)) / SHARES);
  const missing = new Set<number>();
  for (let row = 0; row < table.size; row++) {
    const byte = table.firstByte(row);
    if (byte >= first && byte < end && !table.isGone(row) && !table.isMember(row)) missing.add(row);
  }
  const rest = await listShare(store, table, missing, first, end);
  const asked = rest.map(async (row) => {
    const key = contentKey(table.sha(row).toString('hex'));
    if (await isListed(store, key, table.version(row))) missing.delete(row);
  });
  await Promise.all(asked);
  for (const row of missing) table.markGone(row);
  return missing.size + (await askBundles(store, table.bundles, share));
}

/** Bundles are few: each is asked for by itself. */
async function askBundles(store: ObjectStore, bundles: BundleTable, share: number): Promise<number> {
  let gone = 0;
  const asked: Promise<void>[] = [];
  for (let bundle = share; bundle < bundles.size; bundle += SHARES) {
    const { sha, version } = bundles.get(bundle);
    const answer = isListed(store, bundleKey(sha.toString('hex')), version).then((isThere) => {
      if (isThere) return;
      bundles.markGone(bundle);
      gone++;
    });
    asked.push(answer);
  }
  await Promise.all(asked);
  return gone;
}

/** Reads pages and takes what they list out of `missing`. Returns the rows that are better asked for one by one. */
async function listShare(
  store: ObjectStore,
  table: ObjectTable,
  missing: Set<number>,
  first: number,
  end: number,
): Promise<number[]> {
  if (missing.size === 0) return [];
  const endKey = end > 255 ? 'content0' : `content/${hexByte(end)}`;
  let continuation: string | undefined;
  let reached = '';
  let left = [...missing];
  for (let pages = 0; ; pages++) {
    left = left.filter((row) => contentKey(table.sha(row).toString('hex')) > reached);
    if (left.length <= 1 || pages > left.length) return left;
    const page = await store.list({
      prefix: 'content/',
      ...(continuation === undefined ? { after: `content/${hexByte(first)}` } : { continuation }),
    });
    for (const listed of page.versions) strike(listed, table, missing);
    const last = page.versions.at(-1)?.key;
    if (page.next === undefined || last === undefined || last >= endKey) return [];
    continuation = page.next;
    reached = last;
  }
}

function strike(listed: ListedVersion, table: ObjectTable, missing: Set<number>): void {
  const hex = listed.key.slice('content/'.length);
  if (listed.deleteMarker || hex.length !== 64) return;
  const row = table.find(Buffer.from(hex, 'hex'));
  if (row >= 0 && table.version(row) === listed.version) missing.delete(row);
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
