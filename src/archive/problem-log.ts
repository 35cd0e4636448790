import { appendFileSync, createReadStream } from 'node:fs';
import type { EventListener, Problem, RunOutcome } from '../events.js';
import type { BytePath } from '../files/byte-path.js';
import { OwnMemory } from '../own-memory.js';
import { checkedLine } from '../manifest/checked-line.js';
import { LineFault } from '../manifest/line-fault.js';
import { pathFields } from '../manifest/paths.js';
import type { ProblemLine } from '../manifest/types.js';

/** Lines kept in memory before they go to the spool. */
const KEPT = 4096;
const CHUNK = 1 << 20;

/**
 * The problems of a run: told to the listener as they come, and written into the manifest after all entries.
 * A machine on which every file fails must not need memory for it.
 */
export class ProblemLog {
  readonly #spoolPath: string;
  readonly #onEvent: EventListener;
  #lines: string[] = [];
  #spilled = false;
  #worst: RunOutcome = 'complete';
  count = 0;
  /** How many of them are notes. */
  notes = 0;

  constructor(spoolPath: string, onEvent: EventListener) {
    this.#spoolPath = spoolPath;
    this.#onEvent = onEvent;
  }

  add(problem: Problem): void {
    this.count++;
    if (problem.severity === 'note') this.notes++;
    if (problem.severity === 'broken') this.#worst = 'broken';
    else if (problem.severity === 'failure' && this.#worst === 'complete') this.#worst = 'partial';
    this.#onEvent({ type: 'problem', problem });
    this.#lines.push(textOf(problem));
    if (this.#lines.length >= KEPT) {
      appendFileSync(this.#spoolPath, this.#lines.join(''), { mode: 0o600 });
      this.#lines = [];
      this.#spilled = true;
    }
  }

  /** What the problems so far make of the run. */
  get outcome(): RunOutcome {
    return this.#worst;
  }

  /** All lines, in pieces that end with a newline. */
  async *pieces(): AsyncGenerator<OwnMemory> {
    if (this.#spilled) {
      let rest = Buffer.alloc(0);
      for await (const chunk of createReadStream(this.#spoolPath, { highWaterMark: CHUNK })) {
        const bytes = Buffer.concat([rest, chunk as Buffer]);
        const end = bytes.lastIndexOf(0x0a) + 1;
        rest = bytes.subarray(end);
        if (end > 0) yield OwnMemory.of(bytes.subarray(0, end));
      }
    }
    if (this.#lines.length > 0) yield OwnMemory.of(Buffer.from(this.#lines.join('')));
  }
}

/** What is left of a message that no line can hold. */
const SHORTENED = 64 * 1024;

/** The problem's line. It must be there, since it is counted: of one that no reader would take, the beginning. */
function textOf(problem: Problem): string {
  try {
    return checkedLine(lineOf(problem)).toString();
  } catch (error) {
    if (!(error instanceof LineFault)) throw error;
    const { severity, code } = problem;
    return checkedLine({
      typ: 'problem',
      severity,
      code,
      message: `${problem.message.slice(0, SHORTENED)} …`,
    }).toString();
  }
}

function lineOf({ severity, code, message, path, source }: Problem): ProblemLine {
  return {
    typ: 'problem',
    severity,
    code,
    message,
    ...(path === undefined ? {} : pathFields(path as BytePath)),
    ...(source === undefined ? {} : { source }),
  };
}
