import picomatch from 'picomatch';
import { addUp } from '../add-up.js';
import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { type BytePath, pathFromText, textOfPath } from '../files/byte-path.js';
import { hasComponents } from '../files/safe-dir.js';
import { entryPath } from '../manifest/paths.js';
import type { FileEntry, FileSystemEntry, ManifestLine } from '../manifest/types.js';

/** A longer path than the kernel takes was never backed up. */
const PATH_MAX = 4096;
/** Lines of a manifest between two reports of progress. */
const PROGRESS_LINES = 20_000;

/**
 * Whether a path is wanted. Patterns are globs (`*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of folders),
 * matched against the absolute path as it was backed up; names with a leading dot are names like others. One that
 * does not begin with `/` may begin in any folder: `*.conf` is `/**` + `/*.conf`. Naming a folder, by itself or by a
 * pattern, brings or leaves out all below it. Without `include` all is wanted; `exclude` wins over it.
 *
 * Folders above a wanted path are restored with it where they are not there, whatever the patterns say.
 */
export function pathSelector(
  include: readonly string[] = [],
  exclude: readonly string[] = [],
): (path: BytePath) => boolean {
  const wanted = include.length === 0 ? undefined : matcher(include);
  const unwanted = exclude.length === 0 ? undefined : matcher(exclude);
  if (!wanted && !unwanted) return () => true;
  return (path) => (wanted?.(path) ?? true) && !unwanted?.(path);
}

function matcher(patterns: readonly string[]): (path: BytePath) => boolean {
  const globs = patterns.flatMap(globsFor);
  const matchesText = compile(globs);
  // A name that is no valid UTF-8 is matched byte by byte, so that `*` and `?` still work on it.
  const matchesBytes = compile(globs.map((glob) => pathFromText(glob)));
  return (path) => {
    const text = textOfPath(path);
    return text === undefined ? matchesBytes(path) : matchesText(text);
  };
}

/** Several globs for one pattern: to picomatch `/**` at the end or in the middle means at least one folder at times. */
function globsFor(pattern: string): string[] {
  if (pattern === '')
    throw new SysbackupError('USAGE', 'a pattern for paths is empty', { hint: 'Use `/` for all.' });
  const bare = pattern.replace(/\/+$/, '');
  const anchored = pattern.startsWith('/') ? [bare] : [`/${bare}`, `/**/${bare}`];
  return anchored.flatMap((glob) => (glob === '' ? ['/**'] : [glob, `${glob}/**`]));
}

function compile(globs: readonly string[]): (text: string) => boolean {
  // `s`, or a newline in a name would end what `**` matches. `!` at the beginning of a glob has no meaning here.
  return picomatch([...globs], { dot: true, flags: 's', nonegate: true, strictSlashes: false });
}

export function isPathEntry(line: ManifestLine): line is FileSystemEntry {
  return line.typ === 'd' || line.typ === 'l' || line.typ === 'f';
}

/** Whether this could have been backed up: absolute, without `..` and the like. */
export function isSafePath(path: BytePath): boolean {
  return path.length < PATH_MAX && hasComponents(path);
}

/** Counts what is selected while a manifest is read, and tells how far that is. */
export class Selection {
  entries = 0;
  bytes = 0;
  readonly #select: (path: BytePath) => boolean;
  readonly #onEvent: EventListener | undefined;
  readonly #plan: { add(entry: FileEntry): void } | undefined;
  #lines = 0;
  #said = 0;

  /** `plan` is told of each selected file. */
  constructor(
    select: (path: BytePath) => boolean,
    onEvent: EventListener | undefined,
    plan?: { add(entry: FileEntry): void },
  ) {
    this.#select = select;
    this.#onEvent = onEvent;
    this.#plan = plan;
  }

  /** For {@link FetchManifestOptions.onLines}. */
  readonly count = (lines: readonly ManifestLine[]): void => {
    for (const line of lines) {
      if (!isPathEntry(line) || !this.#select(entryPath(line))) continue;
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
