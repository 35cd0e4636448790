import type { LogLevel, Problem } from '../events.js';
import { messageOf, throwIfAborted } from '../errors.js';
import type { Executable } from './executables.js';
import { LastLines, type Line, LineSplitter, logLine } from './lines.js';
import type { ProgramLimits } from './program.js';
import { runProgram } from './program.js';
import { describeEnd, succeeded } from './program-end.js';
import { MAX_COMMAND_BYTES, MAX_DESCRIPTION_BYTES, SnapshotText } from './snapshot-text.js';
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
  /** Whether it may write nothing. Default false: then it has failed, and nothing of what it printed is kept. */
  mayBeEmpty?: boolean;
  /** Bytes that must be free in any case. Default 64 MiB. */
  minFreeBytes?: number;
  /** `drainMs`, by default 30 s: for what still writes after the snapshotter's end (`> >(gzip >&3)` in bash). */
  drainMs?: number;
  /** A line of its standard error (`info`), or in the end of its description (`debug`). */
  onLog(snapshotter: string, line: string, level: LogLevel): void;
}

export interface SnapshotTaken {
  ok: true;
  name: string;
  /** The file with the snapshot, which nothing changes any more. */
  path: string;
  /** Bytes. */
  size: number;
  /** What it printed; at most its last 4 KiB. */
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
 * it prints describes the snapshot, and may be a dump that went the wrong way: of a snapshot that failed nothing of it
 * is kept, nor logged. Throws SYSTEM (the spool folder cannot be used), ABORTED, and what the
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
  const errors = new LineSplitter(/[\r\n]/, MAX_LOG_LINE_BYTES);
  const lastLines = new LastLines();
  const log = (lines: Line[]): void => {
    for (const line of lines) {
      if (line.text === '') continue;
      const shown = logLine(line);
      lastLines.push(shown);
      options.onLog(name, shown, 'info');
    }
  };
  const { end, outputHeld } = await runProgram({
    ...options,
    path: options.snapshotter.path,
    args: ['3'],
    drainMs,
    descriptor3: spool.descriptor,
    onStdout: (chunk) => text.push(chunk),
    onStderr: (chunk) => log(errors.push(chunk)),
  });
  text.end();
  log(errors.end());
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
  const problems = remarks(name, settled, text);
  if (settled.size === 0 && options.mayBeEmpty !== true)
    return failed(name, 'snapshot-empty', whyEmpty(name, text), problems);
  const { description, restoreThrough } = text;
  for (const line of description?.split('\n') ?? [])
    if (line !== '')
      options.onLog(name, logLine({ text: Buffer.from(line).toString('latin1'), cut: false }), 'debug');
  return {
    ok: true,
    name,
    path: spool.path,
    size: settled.size,
    ...(description === undefined ? {} : { description }),
    ...(restoreThrough === undefined ? {} : { restoreThrough }),
    problems,
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
  if (text.described > MAX_DESCRIPTION_BYTES) {
    add(
      'note',
      'description-too-long',
      `snapshotter ${name} printed ${text.described} bytes to standard output, which is for a description: ` +
        `the last ${MAX_DESCRIPTION_BYTES} are kept. Data goes to the descriptor that is its argument (>&$1)`,
    );
  }
  if (text.restoreThroughCut) {
    add(
      'note',
      'restore-through-too-long',
      `the ::restore-through:: line of ${name} is longer than ${MAX_COMMAND_BYTES} bytes and is left out`,
    );
  }
  return problems;
}

/** The mistake that this interface invites is a dump that goes to standard output. */
function whyEmpty(name: string, text: SnapshotText): string {
  const wrote = `snapshotter ${name} wrote nothing to the descriptor that is its argument`;
  if (text.description === undefined) return `${wrote}. If it may, name it in [programs] allow_empty`;
  return (
    `${wrote}, but ${text.described} bytes to standard output, of which nothing is kept. ` +
    'Has its dump gone there? Then it lacks >&$1. If it may write nothing, name it in [programs] allow_empty'
  );
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

/** @param others what is to be said besides */
function failed(
  name: string,
  code: string,
  message: string,
  others: readonly Problem[] = [],
): SnapshotFailed {
  const failures = others.filter(({ severity }) => severity === 'failure');
  const problems: Problem[] = [...failures, { severity: 'failure', code, message, source: name }];
  return { ok: false, name, problems, dispose: async () => {} };
}
