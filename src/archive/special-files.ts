import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import type { FileKind } from '../files/stat.js';
import { isWhiteout } from '../files/whiteout.js';
import { WHITEOUT_CODE } from '../manifest/types.js';
import { Whiteouts } from './whiteouts.js';

/** Paths remembered; beyond, one that comes again is noted again. */
const MOST_NOTED = 100_000;

/** Notes the sockets, FIFOs and devices that were picked, each once, and counts overlay whiteouts. */
export class SpecialFiles {
  readonly #report: (problem: Problem) => void;
  readonly #whiteouts = new Whiteouts();
  /** Paths, and behind a picker's name whiteouts that it printed. */
  #noted = new Set<string>();

  constructor(report: (problem: Problem) => void) {
    this.#report = report;
  }

  note(path: BytePath, kind: FileKind, picker: string): void {
    const whiteout = kind === 'character device' && isWhiteout(path);
    if (whiteout && this.#isFirst(`${picker}\0${path}`)) this.#whiteouts.add(path, picker);
    if (!this.#isFirst(path)) return;
    const code = whiteout ? WHITEOUT_CODE : 'special-file';
    const message = `${displayPath(path)} is ${whiteout ? 'an overlay whiteout' : `a ${kind}`}: not backed up`;
    this.#report({ severity: 'note', code, message, path });
  }

  #isFirst(what: string): boolean {
    if (this.#noted.has(what)) return false;
    if (this.#noted.size >= MOST_NOTED) this.#noted.clear();
    this.#noted.add(what);
    return true;
  }

  /** To be reported when all has been picked. */
  failures(): Problem[] {
    this.#noted.clear();
    return this.#whiteouts.failures();
  }
}
