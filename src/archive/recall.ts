import {
  type JournalEntry,
  type JournalObject,
  type JournalReading,
  readJournal,
} from '../catalog/journal.js';
import { type ObjectRecord, ObjectTable } from '../catalog/object-table.js';
import type { Catalog, StateFolder } from '../catalog/state-folder.js';
import { messageOf } from '../errors.js';
import type { EventListener } from '../events.js';
import { bundleKey, contentKey } from '../manifest/keys.js';
import { hiddenRunLines } from '../manifest/hidden-runs.js';
import { shellWord } from '../shell-word.js';
import { identityBeforeMarker } from '../store/directory-marker.js';
import type { ObjectStore, VersionName } from '../store/port.js';
import {
  askShare,
  checkFence,
  type FenceAnswer,
  isListed,
  type LaterRun,
  type ShareAnswer,
} from './fence.js';
import { forgetSetAside } from './set-aside.js';

/** What this machine remembers and the store bears out. */
export interface Recalled {
  /** Undefined where there is none that can be believed. */
  catalog: Catalog | undefined;
  objects: ObjectTable;
  /** The id of the last run of this machine that the store lists; undefined without a catalog. */
  lastRun: string | undefined;
  /** The journal of an interrupted run is believed and goes on. */
  keepJournal: boolean;
  /** Runs of the backup name that the catalog does not know. */
  later: readonly LaterRun[];
}

/**
 * Reads catalog and journal, and believes them as far as the store still has what they name. Whatever is not believed
 * is said and costs requests, never data.
 */
export async function recall(
  state: StateFolder,
  store: ObjectStore,
  backupName: string,
  onEvent: EventListener,
): Promise<Recalled> {
  const warn = (message: string) => onEvent({ type: 'log', level: 'warning', message });
  let catalog = readOwnCatalog(state, store, backupName, warn);
  const setAside = (await store.damage?.setAside()) ?? [];
  const fence = catalog && (await checkFence(store, catalog.head));
  if (catalog !== undefined && fence !== undefined && !fenceHolds(store, catalog, fence, setAside, warn))
    catalog = undefined;
  const objects = catalog?.objects ?? new ObjectTable();
  let damaged = await forgetSetAside(store, objects, setAside);
  if (catalog !== undefined) warnOfShare(await askShare(store, objects, catalog.head.turn), store, warn);
  const journal = readOwnJournal(state, store, backupName, warn);
  const keepJournal = journal?.last !== undefined && (await journalHolds(store, journal.last, warn));
  if (keepJournal) {
    for (const entry of journal) remember(objects, entry);
    damaged += await forgetSetAside(store, objects, setAside);
  }
  if (damaged > 0)
    warn(
      `${damaged} objects that this machine knows were set aside in ${store.description} as damaged: ` +
        'what the machine still has of them is stored again',
    );
  const later = catalog === undefined ? [] : (fence?.later ?? []);
  return { catalog, objects, lastRun: fence?.lastRun, keepJournal, later };
}

function warnOfShare(
  { missing, otherLength, hidden }: ShareAnswer,
  { description }: ObjectStore,
  warn: (message: string) => void,
): void {
  if (missing > 0) {
    const there =
      hidden === 0
        ? ''
        : ` (the data of ${hidden} is there, but not their sidecars: s3-sysbackup verify --set-aside --directory ${shellWord(description)} writes these again)`;
    warn(`${missing} objects that this machine stored are no longer in ${description}${there}: stored again`);
  }
  const [first] = otherLength;
  if (first !== undefined)
    warn(
      `${otherLength.length} objects in ${description} are longer or shorter than this machine stored them ` +
        `(${first}${otherLength.length === 1 ? '' : ', …'}): they count as gone, and are stored again. ` +
        'To see what else is damaged: s3-sysbackup verify --read-data',
    );
}

function readOwnCatalog(
  state: StateFolder,
  store: ObjectStore,
  backupName: string,
  warn: (message: string) => void,
): Catalog | undefined {
  const catalog = state.readCatalog();
  if (catalog === undefined) return undefined;
  if (typeof catalog === 'string') {
    warn(
      `the catalog in ${state.path} is damaged (${catalog}): all files are read again, what is stored is looked up`,
    );
    return undefined;
  }
  const { head } = catalog;
  if (identitiesOf(store).includes(head.store) && head.backupName === backupName) return catalog;
  warn(`the catalog in ${state.path} is of another store or backup name: not used`);
  return undefined;
}

function fenceHolds(
  store: ObjectStore,
  catalog: Catalog,
  { holds: isThere, hidden, foreign, doubled }: FenceAnswer,
  setAside: readonly VersionName[],
  warn: (message: string) => void,
): boolean {
  for (const line of hiddenRunLines(hidden)) warn(line);
  const { key } = catalog.head.manifest;
  // Whatever its bytes were by then: no other run has this key.
  const isSetAside = setAside.some((aside) => aside.key === key);
  const holds = isThere || isSetAside;
  if (!isThere && isSetAside)
    warn(
      `the manifest ${key}, which this machine stored last, was set aside in ${store.description} as damaged`,
    );
  if (!holds) {
    warn(
      `${store.description} no longer has the manifest ${catalog.head.manifest.key}, which this machine stored last: ` +
        'it was emptied or replaced. Everything is stored anew.',
    );
  }
  if (doubled) {
    warn(
      `the manifest ${catalog.head.manifest.key}, which this machine stored, has more versions than that one: ` +
        "someone else has this machine's rights.",
    );
  }
  const [one] = foreign;
  if (one !== undefined) {
    warn(
      `another machine has written under the backup name ${catalog.head.backupName} (${one}` +
        `${foreign.length > 1 ? ` and ${foreign.length - 1} more` : ''}): a clone of this one, or one newly set up? ` +
        'Give each machine a name of its own.',
    );
  }
  return holds;
}

/** That of a store before it got its marker too: such memory has been handed over (open-state.ts). */
function identitiesOf({ identity }: ObjectStore): string[] {
  const before = identityBeforeMarker(identity);
  return before === undefined ? [identity] : [identity, before];
}

export function keyOfEntry(entry: JournalEntry): string {
  return 'bundle' in entry ? bundleKey(entry.bundle) : contentKey(entry.sha);
}

function readOwnJournal(
  state: StateFolder,
  store: ObjectStore,
  backupName: string,
  warn: (message: string) => void,
): JournalReading | undefined {
  try {
    const heads = identitiesOf(store).map((identity) => ({ store: identity, backupName }));
    return readJournal(state.journalPath, heads);
  } catch (error) {
    warn(
      `the journal of an interrupted run cannot be read (${messageOf(error)}): what it stored is looked up`,
    );
    return undefined;
  }
}

async function journalHolds(
  store: ObjectStore,
  last: JournalEntry,
  warn: (message: string) => void,
): Promise<boolean> {
  if (await isListed(store, keyOfEntry(last), last.version)) return true;
  warn(`the journal of an interrupted run names what ${store.description} does not have: not used`);
  return false;
}

function remember(objects: ObjectTable, entry: JournalEntry): void {
  if (!('bundle' in entry)) {
    objects.set(Buffer.from(entry.sha, 'hex'), 0, entryRecord(entry));
    return;
  }
  const size = entry.members.reduce((sum, { len }) => sum + len, 0);
  const sha = Buffer.from(entry.bundle, 'hex');
  const { version, until, stored } = entry;
  const bundle = objects.bundles.add({ sha, version, until, size, stored });
  for (const { sha: of, off, len, enc } of entry.members) {
    objects.setMember(Buffer.from(of, 'hex'), 0, { bundle, off, len, enc });
  }
}

function entryRecord({ version, enc, until, size }: JournalObject): ObjectRecord {
  return { version, enc, until, size };
}
