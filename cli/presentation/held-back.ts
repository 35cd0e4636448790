import type { LogLevel } from '../../src/index.js';
import type { LogSink } from './log.js';

/** Lines held; of more the last. */
const MOST_HELD = 10_000;

/**
 * Holds lines back until it is known whether anybody is to see them: of a run that went well nobody is, and of another
 * all are. An error shows what came before it at once.
 */
export class HeldBack implements LogSink {
  readonly #sink: LogSink;
  #held: [level: LogLevel, text: string, bare: boolean][] = [];
  #dropped = 0;

  constructor(sink: LogSink) {
    this.#sink = sink;
  }

  write(level: LogLevel, text: string, bare: boolean): void {
    if (level === 'error') {
      this.show();
      this.#sink.write(level, text, bare);
      return;
    }
    this.#held.push([level, text, bare]);
    if (this.#held.length < 2 * MOST_HELD) return;
    this.#dropped += MOST_HELD;
    this.#held = this.#held.slice(-MOST_HELD);
  }

  show(): void {
    if (this.#dropped > 0)
      this.#sink.write('info', `${this.#dropped} lines before these were not kept`, false);
    for (const [level, text, bare] of this.#held) this.#sink.write(level, text, bare);
    this.drop();
  }

  drop(): void {
    this.#held = [];
    this.#dropped = 0;
  }
}
