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
import type { ObjectStore } from '../store/port.js';
import { askShare, checkFence, type FenceAnswer, isListed } from './fence.js';

/** What this machine remembers and the store bears out. */
export interface Recalled {
  /** Undefined where there is none that can be believed. */
  catalog: Catalog | undefined;
  objects: ObjectTable;
  /** The id of the last run of this machine that the store lists; undefined without a catalog. */
  lastRun: string | undefined;
  /** The journal of an interrupted run is believed and goes on. */
  keepJournal: boolean;
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
  const fence = catalog && (await checkFence(store, catalog.head));
  if (catalog !== undefined && fence !== undefined && !fenceHolds(store, catalog, fence, warn))
    catalog = undefined;
  const objects = catalog?.objects ?? new ObjectTable();
  if (catalog !== undefined) {
    const gone = await askShare(store, objects, catalog.head.turn);
    if (gone > 0)
      warn(`${gone} objects that this machine stored are no longer in ${store.description}: stored anew`);
  }
  const journal = readOwnJournal(state, store, backupName, warn);
  const keepJournal = journal?.last !== undefined && (await journalHolds(store, journal.last, warn));
  if (keepJournal) for (const entry of journal) remember(objects, entry);
  return { catalog, objects, lastRun: fence?.lastRun, keepJournal };
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
  if (head.store === store.identity && head.backupName === backupName) return catalog;
  warn(`the catalog in ${state.path} is of another store or backup name: not used`);
  return undefined;
}

function fenceHolds(
  store: ObjectStore,
  catalog: Catalog,
  { holds, foreign, doubled }: FenceAnswer,
  warn: (message: string) => void,
): boolean {
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

function keyOf(entry: JournalEntry): string {
  return 'bundle' in entry ? bundleKey(entry.bundle) : contentKey(entry.sha);
}

function readOwnJournal(
  state: StateFolder,
  store: ObjectStore,
  backupName: string,
  warn: (message: string) => void,
): JournalReading | undefined {
  try {
    return readJournal(state.journalPath, { store: store.identity, backupName });
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
  if (await isListed(store, keyOf(last), last.version)) return true;
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
  const bundle = objects.bundles.add({ sha, version: entry.version, until: entry.until, size });
  for (const { sha: of, off, len, enc } of entry.members) {
    objects.setMember(Buffer.from(of, 'hex'), 0, { bundle, off, len, enc });
  }
}

function entryRecord({ version, enc, until }: JournalObject): ObjectRecord {
  return { version, enc, until };
}
