import picomatch from 'picomatch';
import { SysbackupError } from '../errors.js';
import { type BytePath, pathFromText } from '../files/byte-path.js';

/** What has a meaning of its own in a glob. */
const MAGIC = /[*?[\]{}()!+@|\\]/;

/**
 * One pattern for paths, as `--include` and `--exclude` take them. It is a glob (`*`, `?`, `[a-z]`, `{a,b}`, and `**`
 * for any number of directories), matched against the absolute path as it was backed up; names with a leading dot are
 * names like others. One that does not begin with `/` may begin in any directory. Naming a directory brings all below it.
 *
 * A directory may be called `Predictions(Strictest)`, which as a glob means something else. So a pattern that is
 * literally a path of the run, or a directory above one, is to be taken literally only: see {@link takeLiterally}.
 */
export class PathPattern {
  /** As the user wrote it. */
  readonly text: string;
  /** Whether a path of the run has matched it. */
  isMatched = false;
  readonly #bare: BytePath;
  readonly #isAnchored: boolean;
  #glob: ((path: BytePath, text: string | undefined) => boolean) | undefined;

  /** Throws USAGE where the pattern is empty. */
  constructor(text: string) {
    if (text === '')
      throw new SysbackupError('USAGE', 'a pattern for paths is empty', { hint: 'Use `/` for all.' });
    this.text = text;
    const bare = text.replace(/\/+$/, '');
    this.#bare = pathFromText(bare);
    this.#isAnchored = text.startsWith('/');
    if (MAGIC.test(bare)) this.#glob = compile(bare, this.#isAnchored);
  }

  /** The path that it names, if it is no glob: for hints. */
  get path(): BytePath {
    return (this.#isAnchored ? this.#bare : `/${this.#bare}`) as BytePath;
  }

  get isGlob(): boolean {
    return this.#glob !== undefined;
  }

  takeLiterally(): void {
    this.#glob = undefined;
  }

  /** Whether this is the path, letter by letter, or that of a directory above it. */
  names(path: BytePath): boolean {
    const bare = this.#bare;
    if (this.#isAnchored) return path.startsWith(bare) && isEndOfName(path, bare.length);
    for (let at = path.indexOf(bare, 1); at > 0; at = path.indexOf(bare, at + 1))
      if (path[at - 1] === '/' && isEndOfName(path, at + bare.length)) return true;
    return false;
  }

  /** `text` is that of the path (`textOfPath`). */
  matches(path: BytePath, text: string | undefined): boolean {
    return this.#glob === undefined ? this.names(path) : this.#glob(path, text);
  }
}

function isEndOfName(path: string, at: number): boolean {
  return at === 0 || at === path.length || path[at] === '/';
}

function compile(bare: string, isAnchored: boolean) {
  // Several globs for one pattern: to picomatch `/**` at the end or in the middle means at least one directory at times.
  const starts = isAnchored ? [bare] : [`/${bare}`, `/**/${bare}`];
  const globs = starts.flatMap((glob) => [glob, `${glob}/**`]);
  // `s`, or a newline in a name would end what `**` matches. `!` at the beginning of a glob has no meaning here.
  const options = { dot: true, flags: 's', nonegate: true, strictSlashes: false };
  const matchesText = picomatch(globs, options);
  // A name that is not valid UTF-8 is matched byte by byte, so that `*` and `?` still work on it.
  const matchesBytes = picomatch(globs.map(pathFromText), options);
  return (path: BytePath, text: string | undefined): boolean =>
    text === undefined ? matchesBytes(path) : matchesText(text);
}
