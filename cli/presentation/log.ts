import type { LogLevel } from '../../src/index.js';
import { type LineKind, LineLimit } from './line-limit.js';
import { printable } from './printable.js';

/** From the gravest down. */
export const LOG_LEVELS = ['error', 'warning', 'info', 'debug'] as const satisfies readonly LogLevel[];

/** Priorities of syslog (RFC 5424), as `sd-daemon(3)` takes them at the start of a line. */
const PRIORITIES: Record<LogLevel, number> = { error: 3, warning: 4, info: 6, debug: 7 };

export interface LogSink {
  /** `text` is one line, printable; `bare`: it says itself how grave it is. */
  write(level: LogLevel, text: string, bare: boolean): void;
}

/** Lines of text for people, each with a level, to those sinks that there are. */
export class Log {
  readonly #least: number;
  readonly #sinks: LogSink[];
  readonly #limit = new LineLimit();

  constructor(level: LogLevel, sinks: LogSink[]) {
    this.#least = LOG_LEVELS.indexOf(level);
    this.#sinks = sinks;
  }

  /** Whether lines of this level are wanted. */
  takes(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#least;
  }

  write(level: LogLevel, text: string): void {
    this.#write(level, text, false);
  }

  /** One of a kind of which there may be many: the first are written, at `debug` all. */
  writeOneOf(kind: LineKind, level: LogLevel, text: () => string): void {
    if (this.takes(level) && (this.takes('debug') || this.#limit.takes(kind, level)))
      this.write(level, text());
  }

  /** Writes how many of each kind were left out. To be called at the end; more often does no harm. */
  writeRest(): void {
    for (const { level, text } of this.#limit.rest()) this.write(level, text);
  }

  /** Without the level in front of it where a person reads it. */
  writeBare(level: LogLevel, text: string): void {
    this.#write(level, text, true);
  }

  #write(level: LogLevel, text: string, bare: boolean): void {
    if (!this.takes(level)) return;
    const line = printable(text);
    for (const sink of this.#sinks) sink.write(level, line, bare);
  }
}

/** Lines for a person: the level in front where it is not the ordinary one. */
export function plainSink(line: (text: string) => void): LogSink {
  return { write: (level, text, bare) => line(bare || level === 'info' ? text : `${level}: ${text}`) };
}

/** Lines for the systemd journal, which makes the number in front the entry's priority and takes it away. */
export function journalSink(line: (text: string) => void): LogSink {
  return { write: (level, text) => line(`<${PRIORITIES[level]}>${text}`) };
}

/** Lines for a file that others read later: time and level in front. */
export function timedSink(line: (text: string) => void, clock: () => number): LogSink {
  return {
    write: (level, text) => line(`${new Date(clock()).toISOString()} ${level.padEnd(7)} ${text}`),
  };
}
