import { addUp } from '../add-up.js';
import type { EventListener, Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import type { FileEntry, FileSystemEntry, FileWarning } from '../manifest/types.js';
import { FrozenObjectError } from '../store/cold.js';
import { FrozenObjects, frozenProblem } from './frozen.js';
import type { MetadataKind, NotSet } from './metadata.js';
import type { PathPatterns, UnmatchedPattern } from './path-patterns.js';
import type { PathAction, RestoreOptions, RestoreSummary } from './options.js';

const PROBLEMS_KEPT = 1000;
/** Between two reports of progress. */
const PROGRESS_ENTRIES = 500;
const PROGRESS_BYTES = 8 * 1024 * 1024;

const KINDS: Record<MetadataKind, string> = {
  owner: 'the owner',
  group: 'the group',
  mode: 'all bits of the mode',
  acl: 'the ACL',
  xattr: 'extended attributes',
  times: 'the modification time',
  recorded: 'an owner or ACL as recorded',
};

const WARNINGS: Record<FileWarning, string> = {
  'changed-while-reading': 'was changed while it was backed up: what is restored may be torn or cut short',
  'unlocked-copy':
    'was backed up without its lock, which could not be had: what is restored may be in the middle of a change',
};

/** Counts what a restore does, and tells the listeners. */
export class RestoreReport {
  readonly selected = { d: 0, l: 0, f: 0 };
  /** Of the selected files. */
  readonly warnings: Record<FileWarning, number> = { 'changed-while-reading': 0, 'unlocked-copy': 0 };
  readonly done: Record<PathAction['does'], number> = {
    create: 0,
    replace: 0,
    'set-metadata': 0,
    keep: 0,
    link: 0,
  };
  failed = 0;
  /** Of those, for want of thawing. */
  frozen = 0;
  /** Bytes of content written. */
  bytes = 0;
  /** What all actions so far take. */
  readonly planned = { bytes: 0, requests: 0 };
  readonly unmatched: UnmatchedPattern[] = [];
  readonly problems: Problem[] = [];
  readonly problemCounts: RestoreSummary['problemCounts'] = { note: 0, failure: 0, broken: 0 };
  readonly notSet: Partial<Record<MetadataKind, number>> = {};
  /** What could not be set first, of each kind. */
  readonly #firstNotSet = new Map<MetadataKind, { path: BytePath; reason: string }>();
  readonly #frozenObjects: FrozenObjects;
  readonly #onEvent: EventListener | undefined;
  readonly #onPath: RestoreOptions['onPath'];
  readonly #total: { entries: number; bytes: number };
  #entries = 0;
  #progressBytes = 0;
  #said = { entries: 0, bytes: 0 };

  constructor(
    options: Pick<RestoreOptions, 'frozen' | 'onEvent' | 'onPath'>,
    total: { entries: number; bytes: number },
  ) {
    this.#frozenObjects = options.frozen ?? new FrozenObjects();
    this.#onEvent = options.onEvent;
    this.#onPath = options.onPath;
    this.#total = total;
  }

  /** An entry is to be restored. Where its copy may not be what the file was at any one time, that is noted. */
  selects(path: BytePath, entry: FileSystemEntry): void {
    this.selected[entry.typ] += 1;
    if (entry.typ !== 'f' || entry.w === undefined) return;
    for (const warning of entry.w) {
      if (!Object.hasOwn(WARNINGS, warning)) continue;
      this.warnings[warning] += 1;
      const message = `${displayPath(path)}: ${WARNINGS[warning]}`;
      this.problem({ severity: 'note', code: warning, path, message });
    }
  }

  /** A path was not restored. */
  failure(code: string, path: BytePath, message: string): void {
    this.failed += 1;
    this.problem({ severity: 'failure', code, path, message: `${displayPath(path)}: ${message}` });
  }

  /** Whether a path was not restored because its content is frozen. That is told at the end, once for all. */
  isFrozen(error: unknown, { dat, size }: Pick<FileEntry, 'dat' | 'size'>): boolean {
    if (!(error instanceof FrozenObjectError)) return false;
    this.failed += 1;
    this.frozen += 1;
    this.#frozenObjects.add(dat, size, error.storageClass);
    return true;
  }

  tellWhatIsFrozen(): void {
    const problem = frozenProblem(this.frozen, 'file', this.#frozenObjects);
    if (problem) this.problem(problem);
  }

  problem(problem: Problem): void {
    this.problemCounts[problem.severity] += 1;
    if (this.problems.length < PROBLEMS_KEPT) this.problems.push(problem);
    this.#onEvent?.({ type: 'problem', problem });
  }

  log(message: string): void {
    this.#onEvent?.({ type: 'log', level: 'info', message });
  }

  /** Something is about to be done with a selected path. */
  acts(action: PathAction): void {
    this.done[action.does] += 1;
    this.planned.bytes = addUp(this.planned.bytes, action.bytes);
    this.planned.requests += action.requests;
    this.#onPath?.(action);
  }

  /** What was said to be done with a path has failed, and is counted as that alone. */
  undone(does: PathAction['does']): void {
    this.done[does] -= 1;
  }

  /** Metadata of a path could not be set; it is told at the end, once for each kind. */
  metadataNotSet(path: BytePath, failures: readonly NotSet[]): void {
    for (const { what, reason } of failures) {
      this.notSet[what] = (this.notSet[what] ?? 0) + 1;
      if (!this.#firstNotSet.has(what)) this.#firstNotSet.set(what, { path, reason });
    }
  }

  /** A mistyped pattern must not go unnoticed: each that matched nothing is a warning, and nothing at all a failure. */
  reportUnmatched(patterns: PathPatterns): void {
    this.unmatched.push(...patterns.reportUnmatched(this.#onEvent));
    const { d, l, f } = this.selected;
    if (!patterns.isNarrowed || d + l + f > 0) return;
    const message = 'no path of this run matches what was asked for';
    this.problem({ severity: 'failure', code: 'nothing-selected', message });
  }

  /** Who is not root cannot give files away, and knows it; for root it means that something is missing. */
  tellWhatWasNotSet(isRoot: boolean): void {
    for (const [kind, { path, reason }] of this.#firstNotSet) {
      const count = this.notSet[kind] ?? 0;
      const where = count === 1 ? 'one path' : `${count} paths`;
      this.problem({
        severity: isRoot ? 'failure' : 'note',
        code: `${kind}-not-set`,
        path,
        message: `${KINDS[kind]} could not be set on ${where}; the first was ${displayPath(path)} (${reason})`,
      });
    }
  }

  /** An entry of the manifest has been dealt with, with so many bytes of content. */
  passed(bytes: number): void {
    this.#entries += 1;
    this.advanced(bytes);
  }

  /** Bytes of content have been dealt with. */
  advanced(bytes: number): void {
    this.#progressBytes = addUp(this.#progressBytes, bytes);
    const entries = this.#entries - this.#said.entries;
    if (entries >= PROGRESS_ENTRIES || this.#progressBytes - this.#said.bytes >= PROGRESS_BYTES)
      this.tellProgress();
  }

  tellProgress(): void {
    this.#said = { entries: this.#entries, bytes: this.#progressBytes };
    this.#onEvent?.({
      type: 'progress',
      phase: 'restore',
      entries: this.#entries,
      entriesTotal: this.#total.entries,
      bytes: this.#progressBytes,
      bytesTotal: this.#total.bytes,
    });
  }
}
