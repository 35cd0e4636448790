import type { LogLevel, Problem } from '../events.js';
import { messageOf, throwIfAborted } from '../errors.js';
import type { Executable } from './executables.js';
import type { Line } from './lines.js';
import { LastLines, LineSplitter, logLine } from './lines.js';
import type { ProgramLimits } from './program.js';
import { runProgram } from './program.js';
import { describeEnd, succeeded } from './program-end.js';
import { MAX_DESCRIPTION_BYTES, SnapshotText } from './snapshot-text.js';
import { Spool, freeBytes } from './spool.js';

export interface SnapshotterOptions extends ProgramLimits {
  /** From findExecutables. */
  snapshotter: Executable;
  /** In the state directory; made if missing. Holds the snapshot until `dispose`. */
  spoolFolder: string;
  /** The snapshotter's whole environment: at least PATH. */
  env: Readonly<Record<string, string>>;
  /** Bytes of the last run's snapshot: so much room must be free before it is started. */
  expectedSize?: number | undefined;
  /** Bytes that must be free in any case. Default 64 MiB. */
  minFreeBytes?: number;
  /** `drainMs`, by default 30 s: for what still writes after the snapshotter's end (`> >(gzip >&3)` in bash). */
  drainMs?: number;
  /** A line of its standard error (`info`) or of its description (`debug`). */
  onLog(snapshotter: string, line: string, level: LogLevel): void;
}

export interface SnapshotTaken {
  ok: true;
  name: string;
  /** The file with the snapshot, which nothing changes any more. */
  path: string;
  /** Bytes. */
  size: number;
  /** What it printed; at most its last 64 KiB. */
  description?: string;
  /** Shell command that restores the snapshot from its standard input. */
  restoreThrough?: string;
  /** Nothing that keeps it from being stored. */
  problems: Problem[];
  /** Removes the file. */
  dispose(): Promise<void>;
}

export interface SnapshotFailed {
  ok: false;
  name: string;
  problems: Problem[];
  /** Does nothing: the spool is gone already. */
  dispose(): Promise<void>;
}

export type SnapshotResult = SnapshotTaken | SnapshotFailed;

const DEFAULT_DRAIN_MS = 30_000;
const DEFAULT_MIN_FREE_BYTES = 64 * 1024 * 1024;
const MAX_LOG_LINE_BYTES = 4096;

/**
 * Runs a snapshotter: descriptor 3 is a regular file open for reading and writing, `3` its only argument. What
 * it prints describes the snapshot. Throws SYSTEM (the spool folder cannot be used), ABORTED, and what the
 * callback throws; everything else is a problem in the result, and then nothing is left on the disk.
 */
export async function runSnapshotter(options: SnapshotterOptions): Promise<SnapshotResult> {
  throwIfAborted(options.signal);
  const { name } = options.snapshotter;
  const noRoom = await tooLittleRoom(options);
  if (noRoom !== undefined) return failed(name, 'snapshotter-no-room', noRoom);
  const spool = await Spool.create(options.spoolFolder);
  let result: SnapshotResult | undefined;
  try {
    result = await take(options, spool);
    return result;
  } finally {
    // What cannot be removed goes with the spool folder; why there is no snapshot is what has to be heard.
    if (!result?.ok) await spool.dispose().catch(() => undefined);
  }
}

async function take(options: SnapshotterOptions, spool: Spool): Promise<SnapshotResult> {
  const { name } = options.snapshotter;
  const drainMs = options.drainMs ?? DEFAULT_DRAIN_MS;
  const text = new SnapshotText();
  const output = new LineSplitter(/\n/, MAX_DESCRIPTION_BYTES);
  const errors = new LineSplitter(/[\r\n]/, MAX_LOG_LINE_BYTES);
  const lastLines = new LastLines();
  const log = (lines: Line[], level: LogLevel): void => {
    for (const line of lines) {
      if (level === 'debug') text.push(line);
      if (line.text === '') continue;
      const shown = logLine(line);
      lastLines.push(shown);
      options.onLog(name, shown, level);
    }
  };
  const { end, outputHeld } = await runProgram({
    ...options,
    path: options.snapshotter.path,
    args: ['3'],
    drainMs,
    descriptor3: spool.descriptor,
    onStdout: (chunk) => log(output.push(chunk), 'debug'),
    onStderr: (chunk) => log(errors.push(chunk), 'info'),
  });
  log(output.end(), 'debug');
  log(errors.end(), 'info');
  if (!succeeded(end)) {
    return failed(name, 'snapshotter-failed', `snapshotter ${name} ${describeEnd(end, lastLines.text)}`);
  }

  let settled: Awaited<ReturnType<Spool['settle']>>;
  try {
    settled = await spool.settle(outputHeld ? 0 : drainMs, options.signal);
  } catch (error) {
    return failed(
      name,
      'snapshotter-failed',
      `the snapshot of ${name} cannot be read back: ${messageOf(error)}`,
    );
  }
  throwIfAborted(options.signal);
  const { description, restoreThrough } = text;
  return {
    ok: true,
    name,
    path: spool.path,
    size: settled.size,
    ...(description === undefined ? {} : { description }),
    ...(restoreThrough === undefined ? {} : { restoreThrough }),
    problems: remarks(name, settled, text),
    dispose: () => spool.dispose(),
  };
}

function remarks(name: string, settled: { size: number; held: boolean }, text: SnapshotText): Problem[] {
  const problems: Problem[] = [];
  const add = (severity: Problem['severity'], code: string, message: string): void => {
    problems.push({ severity, code, message, source: name });
  };
  if (settled.held) {
    add(
      'failure',
      'snapshot-still-open',
      `snapshotter ${name} ended while a process it left behind still held the snapshot open for writing: ` +
        `the ${settled.size} bytes written until then are kept and may not be all`,
    );
  }
  if (settled.size === 0) {
    add('note', 'snapshot-empty', `snapshotter ${name} wrote nothing to the descriptor it was given`);
  }
  if (text.restoreThroughCut) {
    add(
      'note',
      'restore-through-too-long',
      `the ::restore-through:: line of ${name} is longer than ${MAX_DESCRIPTION_BYTES} bytes and is left out`,
    );
  }
  return problems;
}

async function tooLittleRoom(options: SnapshotterOptions): Promise<string | undefined> {
  const { name } = options.snapshotter;
  const free = await freeBytes(options.spoolFolder);
  const least = options.minFreeBytes ?? DEFAULT_MIN_FREE_BYTES;
  const expected = options.expectedSize ?? 0;
  const needed = Math.max(least, expected);
  if (free >= needed) return undefined;
  const reason = expected >= least ? 'its last snapshot had that length' : 'the least that must be free';
  return (
    `snapshotter ${name} was not started: ${options.spoolFolder} has ${free} bytes free, ` +
    `${needed} are needed (${reason})`
  );
}

function failed(name: string, code: string, message: string): SnapshotFailed {
  const problems: Problem[] = [{ severity: 'failure', code, message, source: name }];
  return { ok: false, name, problems, dispose: async () => {} };
}
