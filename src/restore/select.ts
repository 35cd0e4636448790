import { addUp } from '../add-up.js';
import type { EventListener } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import { hasComponents } from '../files/safe-dir.js';
import { entryPath } from '../manifest/paths.js';
import type { FileEntry, FileSystemEntry, ManifestLine } from '../manifest/types.js';
import type { FoldedPaths } from './folded-paths.js';
import type { PathPatterns } from './path-patterns.js';
import { MissingWhiteouts } from './missing-whiteouts.js';

/** A longer path than the kernel takes was never backed up. */
const PATH_MAX = 4096;
/** Lines of a manifest between two reports of progress. */
const PROGRESS_LINES = 20_000;

export function isPathEntry(line: ManifestLine): line is FileSystemEntry {
  return line.typ === 'd' || line.typ === 'l' || line.typ === 'f';
}

/** Whether this could have been backed up: absolute, without `..` and the like. */
export function isSafePath(path: BytePath): boolean {
  return path.length < PATH_MAX && hasComponents(path);
}

/** Is shown each selected file. */
export interface SelectionPlan {
  add(entry: FileEntry): void;
}

/** Counts what is selected while a manifest is read, and tells how far that is. */
export class Selection {
  entries = 0;
  bytes = 0;
  readonly whiteouts: MissingWhiteouts;
  readonly #patterns: PathPatterns;
  readonly #onEvent: EventListener | undefined;
  readonly #plan: SelectionPlan | undefined;
  readonly #folded: FoldedPaths | undefined;
  #lines = 0;
  #said = 0;

  constructor(
    patterns: PathPatterns,
    onEvent: EventListener | undefined,
    plan?: SelectionPlan,
    folded?: FoldedPaths,
  ) {
    this.#patterns = patterns;
    this.whiteouts = new MissingWhiteouts((path) => patterns.select(path));
    this.#onEvent = onEvent;
    this.#plan = plan;
    this.#folded = folded;
  }

  /** For {@link FetchManifestOptions.onLines}. */
  readonly count = (lines: readonly ManifestLine[]): void => {
    for (const line of lines) {
      if (!isPathEntry(line)) {
        this.whiteouts.take(line);
        continue;
      }
      this.#patterns.note(line);
      const path = entryPath(line);
      const isSelected = this.#patterns.select(path);
      // A directory that is not selected may lie above what is.
      if (isSelected || line.typ === 'd') this.#folded?.add(path);
      if (!isSelected) continue;
      this.entries += 1;
      if (line.typ !== 'f') continue;
      this.bytes = addUp(this.bytes, line.size ?? 0);
      this.#plan?.add(line);
    }
    this.#lines += lines.length;
    if (this.#lines - this.#said < PROGRESS_LINES) return;
    this.#said = this.#lines;
    this.#onEvent?.({ type: 'progress', phase: 'prepare', entries: this.#lines, bytes: 0 });
  };
}
