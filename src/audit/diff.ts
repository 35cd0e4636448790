import { type BytePath } from '../files/byte-path.js';
import type { LazyLine } from '../manifest/lazy-line.js';
import { type ManifestStore, readLazily } from '../manifest/reader.js';
import type { ManifestEntry, SnapshotEntry } from '../manifest/types.js';
import { type ChangedPart, changedParts } from './changed-parts.js';

export interface DiffRunsOptions {
  store: ManifestStore;
  /** The runs' manifests: see `resolveRun`. */
  before: { key: string; version: string };
  after: { key: string; version: string };
  signal?: AbortSignal | undefined;
}

/** What became of one path, or of one snapshotter's output. */
export type Change =
  | { change: 'added'; after: ManifestEntry }
  | { change: 'removed'; before: ManifestEntry }
  | { change: 'changed'; before: ManifestEntry; after: ManifestEntry; parts: ChangedPart[] };

const BATCH = 1000;

/**
 * What one run has and the other has not, or has differently: paths in their order, then snapshots, in batches. Both
 * manifests are read side by side, to their ends, in memory that does not grow with them. A manifest's end proves the
 * rest: what was given before an error is not sure.
 *
 * Throws DAMAGED, and what the store throws.
 */
export async function* diffRuns(options: DiffRunsOptions): AsyncGenerator<Change[], void> {
  const { store, before, after, signal } = options;
  const old = new RunCursor(readLazily(store, before.key, before.version, { signal }));
  const young = new RunCursor(readLazily(store, after.key, after.version, { signal }));
  let changes: Change[] = [];
  try {
    for (;;) {
      // Only at a batch's end: a promise for each entry would cost more than the entry.
      if (old.isUsedUp) await old.refill();
      if (young.isUsedUp) await young.refill();
      const [was, is] = [old.current, young.current];
      if (!was && !is) break;
      const order = !was ? 1 : !is ? -1 : was.path < is.path ? -1 : was.path > is.path ? 1 : 0;
      const change = changeOfPath(order > 0 ? undefined : was?.lazy, order < 0 ? undefined : is?.lazy);
      if (order <= 0) old.advance();
      if (order >= 0) young.advance();
      if (change) changes.push(change);
      if (changes.length < BATCH) continue;
      yield changes;
      changes = [];
    }
    changes.push(...snapshotChanges(old.snapshots, young.snapshots));
    if (changes.length > 0) yield changes;
  } finally {
    await Promise.all([old.close(), young.close()]);
  }
}

function changeOfPath(before: LazyLine | undefined, after: LazyLine | undefined): Change | undefined {
  // Of most paths, both runs have the very same line.
  if (before && after && before.isSame(after)) return undefined;
  return changeOf(before?.fileSystemEntry, after?.fileSystemEntry);
}

function changeOf(before: ManifestEntry | undefined, after: ManifestEntry | undefined): Change | undefined {
  if (!before) return after && { change: 'added', after };
  if (!after) return { change: 'removed', before };
  const parts = changedParts(before, after);
  return parts.length === 0 ? undefined : { change: 'changed', before, after, parts };
}

function snapshotChanges(
  old: ReadonlyMap<string, SnapshotEntry>,
  young: ReadonlyMap<string, SnapshotEntry>,
): Change[] {
  const names = [...new Set([...old.keys(), ...young.keys()])].sort();
  return names.flatMap((name) => changeOf(old.get(name), young.get(name)) ?? []);
}

/** Goes through the paths of one run. */
class RunCursor {
  /** Whole when there is no more path. */
  readonly snapshots = new Map<string, SnapshotEntry>();
  /** Undefined when the batch is used up, and at the end. */
  current: { path: BytePath; lazy: LazyLine } | undefined;
  readonly #batches: AsyncGenerator<LazyLine[], void>;
  #lines: LazyLine[] = [];
  #next = 0;
  #isDone = false;

  constructor(batches: AsyncGenerator<LazyLine[], void>) {
    this.#batches = batches;
  }

  get isUsedUp(): boolean {
    return this.current === undefined && !this.#isDone;
  }

  advance(): void {
    this.current = undefined;
    while (this.#next < this.#lines.length) {
      const lazy = this.#lines[this.#next++];
      if (lazy?.entry) {
        this.current = { path: lazy.entry.path, lazy };
        return;
      }
      const line = lazy?.line;
      if (line?.typ === 's') this.snapshots.set(line.name, line);
    }
  }

  async refill(): Promise<void> {
    while (this.isUsedUp) {
      const batch = await this.#batches.next();
      if (batch.done === true) {
        this.#isDone = true;
        return;
      }
      this.#lines = batch.value;
      this.#next = 0;
      this.advance();
    }
  }

  async close(): Promise<void> {
    await this.#batches.return();
  }
}
