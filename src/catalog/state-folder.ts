import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { type FileLock, tryLockFile } from '../files/flock.js';
import type { CatalogHead } from './head.js';
import { KnownEntries } from './known-entries.js';
import { linkFile } from './link-file.js';
import type { ObjectTable } from './object-table.js';
import { readHead, readObjectsFile } from './objects-file.js';
import { readPrintOrder } from './print-order.js';
import type { UnprovenContent } from './unproven-content.js';

/** The file that names the generation that counts. */
export const CURRENT = 'current';
const ENTRIES = 'entries';
export const HEAD = 'head';
const OBJECTS = 'objects';
const ORDER = 'order';
const MANIFEST = 'manifest.jsonl.gz';
const JOURNAL = 'journal';
const SPOOL = 'spool';

/** A catalog that was read: what the last run stored, and what its files were like. */
export interface Catalog {
  head: CatalogHead;
  objects: ObjectTable;
  /** Of a catalog that was rebuilt: see {@link UnprovenContent}. */
  unproven: UnprovenContent;
  objectsPath: string;
  entriesPath: string;
  /** How long that file is. */
  entriesBytes: number;
  /** The folder its files are in. */
  folder: string;
}

/** Where a run writes the next catalog's files. */
export interface NewGeneration {
  folder: string;
  headPath: string;
  entriesPath: string;
  objectsPath: string;
  orderPath: string;
  manifestPath: string;
}

/**
 * The folder in the state directory that belongs to one store and one backup name. A catalog is a folder of its own
 * (a generation) which `current` names; that file is replaced by a rename, so that there is always one whole catalog
 * or none.
 */
export class StateFolder {
  readonly path: string;
  readonly journalPath: string;
  readonly spoolPath: string;
  readonly #lock: FileLock;
  /** The first folder that was made to have this one. */
  readonly #made: string | undefined;

  private constructor(path: string, spoolPath: string, lock: FileLock, made: string | undefined) {
    this.path = path;
    this.#lock = lock;
    this.#made = made;
    this.journalPath = join(path, JOURNAL);
    this.spoolPath = spoolPath;
  }

  /**
   * Makes the folder where it is missing and takes its lock for this process.
   * Throws RUN_LOCKED where another run has it, SYSTEM where the folder cannot be used.
   */
  static open(statePath: string, storeIdentity: string, backupName: string): StateFolder {
    const path = StateFolder.pathOf(statePath, storeIdentity, backupName);
    let lock: FileLock | undefined;
    let made: string | undefined;
    let spoolPath = '';
    try {
      made = mkdirSync(path, { recursive: true, mode: 0o700 });
      lock = tryLockFile(join(path, 'lock'));
      if (lock !== undefined) spoolPath = emptySpool(path);
    } catch (error) {
      lock?.release();
      throw new SysbackupError('SYSTEM', `cannot use the state directory ${statePath}: ${messageOf(error)}`, {
        hint: 'Set [state] path in the conf to a folder that this user can write.',
        cause: error,
      });
    }
    if (lock === undefined) {
      throw new SysbackupError(
        'RUN_LOCKED',
        `another run of ${backupName} is under way (lock ${join(path, 'lock')})`,
        {
          hint: 'Wait for it to end; the lock goes with its process.',
        },
      );
    }
    return new StateFolder(path, spoolPath, lock, made);
  }

  static pathOf(statePath: string, storeIdentity: string, backupName: string): string {
    return join(statePath, folderName(storeIdentity, backupName));
  }

  /** The backup name of a folder with that name; undefined where it is not one of that store. */
  static backupNameOf(name: string, storeIdentity: string): string | undefined {
    const backupName = /^(.+)-[0-9a-f]{12}$/s.exec(name)?.[1];
    return backupName !== undefined && folderName(storeIdentity, backupName) === name
      ? backupName
      : undefined;
  }

  /** Whether a folder holds a catalog or a journal. */
  static isUsed(path: string): boolean {
    return [CURRENT, JOURNAL].some((name) => existsSync(join(path, name)));
  }

  /** What the catalog in a folder says of itself; undefined where there is none, or a damaged one. */
  static headIn(path: string): CatalogHead | undefined {
    try {
      return readHead(join(path, readFileSync(join(path, CURRENT), 'utf8').trim(), HEAD));
    } catch {
      return undefined;
    }
  }

  /**
   * What the last catalog says of itself, and its entries, before it is known whether it can be believed; undefined
   * where there is none, or a damaged one.
   */
  peek(): { head: CatalogHead; entries: KnownEntries } | undefined {
    try {
      const generation = join(this.path, readFileSync(join(this.path, CURRENT), 'utf8').trim());
      const head = readHead(join(generation, HEAD));
      const manifest = join(generation, MANIFEST);
      const order = readPrintOrder(join(generation, ORDER));
      return { head, entries: new KnownEntries(join(generation, ENTRIES), manifest, head.entriesAt, order) };
    } catch {
      return undefined;
    }
  }

  /** The last catalog; a text that says what is wrong with it where it cannot be used; undefined where there is none. */
  readCatalog(): Catalog | string | undefined {
    let generation: string;
    try {
      generation = readFileSync(join(this.path, CURRENT), 'utf8').trim();
    } catch (error) {
      return errnoOf(error) === 'ENOENT' ? undefined : messageOf(error);
    }
    if (!/^[0-9A-Za-z-]+$/.test(generation)) return `${CURRENT} names no catalog`;
    const folder = join(this.path, generation);
    try {
      const head = readHead(join(folder, HEAD));
      const objectsPath = join(folder, OBJECTS);
      const { table, unproven } = readObjectsFile(objectsPath);
      const entriesPath = join(folder, ENTRIES);
      const entriesBytes = statSync(entriesPath).size;
      return { head, objects: table, unproven, objectsPath, entriesPath, entriesBytes, folder };
    } catch (error) {
      return messageOf(error);
    }
  }

  newGeneration(run: string): NewGeneration {
    // A second word, since a run id that comes from a store's clock could come again.
    const folder = join(this.path, `${run}-${randomBytes(2).toString('hex')}`);
    mkdirSync(folder, { mode: 0o700 });
    return {
      folder,
      headPath: join(folder, HEAD),
      entriesPath: join(folder, ENTRIES),
      objectsPath: join(folder, OBJECTS),
      orderPath: join(folder, ORDER),
      manifestPath: join(folder, MANIFEST),
    };
  }

  /** Takes the old catalog's entries into a new generation in place of its own: for a run that saw too little. */
  keepEntries(old: Catalog, generation: NewGeneration): void {
    if (existsSync(join(old.folder, ORDER))) linkOrCopy(join(old.folder, ORDER), generation.orderPath);
    for (const [name, path] of [
      [ENTRIES, generation.entriesPath],
      [MANIFEST, generation.manifestPath],
    ] as const) {
      rmSync(path, { force: true });
      linkOrCopy(join(old.folder, name), path);
    }
  }

  /**
   * Makes the generation the catalog and removes all others. Throws where it is not, and the old one still is; says what
   * else could not be done, and whether the new one is known to outlast a power cut.
   */
  adopt(generation: NewGeneration): { isDurable: boolean; warnings: string[] } {
    const name = generation.folder.slice(this.path.length + 1);
    const next = join(this.path, `${CURRENT}.new`);
    writeFileSync(next, `${name}\n`, { mode: 0o600, flush: true });
    renameSync(next, join(this.path, CURRENT));
    try {
      syncFolder(this.path);
    } catch (error) {
      // The old catalog and the journal stay: one of both catalogs is there after a power cut.
      const warning = `whether ${this.path} is on the disk is not known (${messageOf(error)}): the next run tries again`;
      return { isDurable: false, warnings: [warning] };
    }
    return { isDurable: true, warnings: this.removeGenerations(generation.folder) };
  }

  /**
   * Removes what interrupted runs left. `except` is the folder of the catalog in use. Returns sentences about what could
   * not be removed, which costs room and nothing else.
   */
  removeGenerations(except: string | undefined): string[] {
    const warnings: string[] = [];
    const attempt = (path: string, step: () => void): void => {
      try {
        step();
      } catch (error) {
        warnings.push(`what is not needed any more in ${path} stays until the next run: ${messageOf(error)}`);
      }
    };
    attempt(this.path, () => {
      for (const entry of readdirSync(this.path, { withFileTypes: true })) {
        const path = join(this.path, entry.name);
        if (!entry.isDirectory() || path === this.spoolPath || path === except) continue;
        attempt(path, () => rmSync(path, { recursive: true, force: true }));
      }
    });
    return warnings;
  }

  /** Removes a generation that is not going to be the catalog; not one that is. */
  remove({ folder }: NewGeneration): void {
    if (this.#currentFolder() !== folder) rmSync(folder, { recursive: true, force: true });
  }

  #currentFolder(): string | undefined {
    try {
      return join(this.path, readFileSync(join(this.path, CURRENT), 'utf8').trim());
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Gives the lock back. `untouched`: nothing is left behind where there was nothing, as after a dry run. `warn` is told
   * of a spool that cannot be removed, which the next run tries again.
   */
  close({ untouched = false, warn }: CloseOptions = {}): void {
    const made = untouched ? this.#made : undefined;
    const steps = [
      () =>
        made === undefined
          ? rmSync(this.spoolPath, { recursive: true, force: true })
          : removeMade(this.path, made),
      () => this.#lock.release(),
    ];
    for (const step of steps) {
      try {
        step();
      } catch (error) {
        warn?.(
          `${this.spoolPath} is not left as it should be, and the next run tries again: ${messageOf(error)}`,
        );
      }
    }
  }
}

interface CloseOptions {
  untouched?: boolean | undefined;
  warn?: ((message: string) => void) | undefined;
}

/** A folder for spools with nothing in it: what an interrupted run left must not get among what this one writes. */
function emptySpool(path: string): string {
  const usual = join(path, SPOOL);
  try {
    rmSync(usual, { recursive: true, force: true });
    mkdirSync(usual, { mode: 0o700 });
    return usual;
  } catch {
    const other = join(path, `${SPOOL}-${randomBytes(4).toString('hex')}`);
    mkdirSync(other, { mode: 0o700 });
    return other;
  }
}

function linkOrCopy(from: string, to: string): void {
  if (!linkFile(from, to)) copyFileSync(from, to);
}

function folderName(storeIdentity: string, backupName: string): string {
  const mark = createHash('sha256').update(`${storeIdentity}\0${backupName}`).digest('hex').slice(0, 12);
  return `${backupName}-${mark}`;
}

/** Removes a folder, and of those above it, up to `first`, what nobody else has put anything into. */
function removeMade(path: string, first: string): void {
  rmSync(path, { recursive: true, force: true });
  try {
    for (let above = path; above !== first; ) {
      above = dirname(above);
      rmdirSync(above);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY') throw error;
  }
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
