import type { EventListener } from '../events.js';
import { type BytePath, textOfPath } from '../files/byte-path.js';
import { NearPaths } from '../manifest/near-paths.js';
import { entryPath } from '../manifest/paths.js';
import type { FileSystemEntry } from '../manifest/types.js';
import { PathPattern } from './path-pattern.js';

/** A pattern that matched no path of the run. */
export interface UnmatchedPattern {
  option: 'include' | 'exclude';
  pattern: string;
}

/**
 * Which paths of a run are wanted: those that any pattern of `include` matches, or all without one, but for those that
 * any of `exclude` matches. Directories above a wanted path are restored with it where they do not exist, whatever the
 * patterns say.
 */
export class PathPatterns {
  readonly #include: readonly PathPattern[];
  readonly #exclude: readonly PathPattern[];
  /** Those that have matched nothing so far, with what is near them. */
  readonly #unmatched = new Map<PathPattern, NearPaths>();

  /** Throws USAGE where a pattern is empty. */
  constructor(include: readonly string[] = [], exclude: readonly string[] = []) {
    this.#include = include.map((pattern) => new PathPattern(pattern));
    this.#exclude = exclude.map((pattern) => new PathPattern(pattern));
    for (const pattern of [...this.#include, ...this.#exclude])
      this.#unmatched.set(pattern, new NearPaths(pattern.path));
  }

  /** Whether {@link look} has to see all paths of the run before {@link select} is asked. */
  get mayBeLiteral(): boolean {
    return [...this.#include, ...this.#exclude].some(({ isGlob }) => isGlob);
  }

  /** Whether any path may be left out. */
  get isNarrowed(): boolean {
    return this.#include.length > 0;
  }

  /** A path of the run: a pattern that is literally this path, or a directory above it, is taken literally. */
  look(path: BytePath): void {
    for (const pattern of this.#include) if (pattern.isGlob && pattern.names(path)) pattern.takeLiterally();
    for (const pattern of this.#exclude) if (pattern.isGlob && pattern.names(path)) pattern.takeLiterally();
  }

  /** Whether the path is wanted. */
  select(path: BytePath): boolean {
    if (this.#include.length === 0 && this.#exclude.length === 0) return true;
    const text = textOfPath(path);
    const matches = (pattern: PathPattern): boolean => pattern.matches(path, text);
    return (this.#include.length === 0 || this.#include.some(matches)) && !this.#exclude.some(matches);
  }

  /** Notes which patterns match this entry, for {@link reportUnmatched}. Each entry once, in path order. */
  note(entry: FileSystemEntry): void {
    if (this.#unmatched.size === 0) return;
    const path = entryPath(entry);
    const text = textOfPath(path);
    for (const [pattern, near] of this.#unmatched)
      if (pattern.matches(path, text)) this.#unmatched.delete(pattern);
      else near.see(path, { fileSystemEntry: entry });
  }

  /** Warns of each pattern that matched no path of the run, and returns them. */
  reportUnmatched(onEvent: EventListener | undefined): UnmatchedPattern[] {
    return [...this.#unmatched].map(([pattern, near]) => {
      const option = this.#include.includes(pattern) ? 'include' : 'exclude';
      const hint = near.hint();
      const message = `--${option} ${pattern.text} matches no path of this run.${hint === undefined ? '' : ` ${hint}`}`;
      onEvent?.({ type: 'log', level: 'warning', message });
      return { option, pattern: pattern.text };
    });
  }
}
