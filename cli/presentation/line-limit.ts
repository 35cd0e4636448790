import type { LogLevel } from '../../src/index.js';

/** Lines shown of each kind: more would drown the rest, and cost the disk that the journal is on. */
const MOST_OF_A_KIND = 100;

/** Where so many problems are named, for a summary below them. */
export function onLinesAbove(count: number): string {
  return count <= MOST_OF_A_KIND ? 'each on a line above' : `${MOST_OF_A_KIND} of each kind on lines above`;
}

/** What lines have in common that can be many. */
export interface LineKind {
  /** The same for all of them. */
  key: string;
  /** How many are shown. Default 100. */
  most?: number;
  /** The line that stands for so many others at the end; undefined where none is needed. */
  rest: (count: number) => string | undefined;
}

interface Counted {
  kind: LineKind;
  level: LogLevel;
  shown: number;
  left: number;
}

/** Lets the first lines of each kind pass, and counts the others. */
export class LineLimit {
  readonly #kinds = new Map<string, Counted>();

  /** Whether one more line is to be shown. */
  takes(kind: LineKind, level: LogLevel): boolean {
    let counted = this.#kinds.get(kind.key);
    if (counted === undefined) {
      counted = { kind, level, shown: 0, left: 0 };
      this.#kinds.set(kind.key, counted);
    }
    if (counted.shown < (kind.most ?? MOST_OF_A_KIND)) {
      counted.shown++;
      return true;
    }
    counted.left++;
    return false;
  }

  /** The lines for what was not shown since this was asked for last. */
  rest(): { level: LogLevel; text: string }[] {
    return [...this.#kinds.values()].flatMap((counted) => {
      const text = counted.left === 0 ? undefined : counted.kind.rest(counted.left);
      counted.left = 0;
      return text === undefined ? [] : [{ level: counted.level, text }];
    });
  }
}
