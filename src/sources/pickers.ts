import type { Problem } from '../events.js';
import { throwIfAborted } from '../errors.js';
import { displayPath } from '../files/byte-path.js';
import type { PackedPaths } from '../files/packed-paths.js';
import type { Executable } from './executables.js';
import { findExecutables } from './executables.js';
import { LastLines, LineSplitter, logLine } from './lines.js';
import type { Refusals } from './path-records.js';
import { MAX_RECORD_BYTES, PathRecords } from './path-records.js';
import type { ProgramEnd, ProgramLimits } from './program.js';
import { runProgram } from './program.js';
import { describeEnd, succeeded } from './program-end.js';

export interface PickersOptions extends ProgramLimits {
  /** `pickers.d`; may be missing. */
  folder: string;
  /** Effective user id; 0 is strict about who else may write there (see findExecutables). */
  uid: number;
  /** The pickers' whole environment: at least PATH. */
  env: Readonly<Record<string, string>>;
  /** `drainMs`, by default 5000: a picker whose output is still open then has failed. */
  drainMs?: number;
  /** Absolute paths as they come, never none. Nothing more is read until it resolves. */
  onPaths(paths: PackedPaths, picker: string): void | Promise<void>;
  /** A line of a picker's standard error. */
  onLog(picker: string, line: string): void;
}

export interface PickerResult {
  name: string;
  /** Absolute paths handed over; the same path twice counts twice. */
  printed: number;
  end: ProgramEnd;
  problems: Problem[];
}

const DEFAULT_DRAIN_MS = 5000;
const MAX_LOG_LINE_BYTES = 4096;

/**
 * Runs all pickers of a folder, one after another in the order of their names: they mostly wait for the same
 * disks, and so their paths and log lines come in the same order each day. A picker that fails is a problem in
 * its result and the next one runs. Throws CONFIG (the folder), ABORTED, and what the callbacks throw.
 */
export async function runPickers(options: PickersOptions): Promise<PickerResult[]> {
  const { executables } = await findExecutables(options.folder, { uid: options.uid });
  const results: PickerResult[] = [];
  for (const picker of executables) {
    throwIfAborted(options.signal);
    results.push(await runPicker(picker, options));
  }
  return results;
}

async function runPicker(picker: Executable, options: PickersOptions): Promise<PickerResult> {
  const { name } = picker;
  const records = new PathRecords();
  const errors = new LineSplitter(/[\r\n]/, MAX_LOG_LINE_BYTES);
  const lastLines = new LastLines();
  let printed = 0;
  const handOver = (paths: PackedPaths): void | Promise<void> => {
    printed += paths.count;
    return paths.count === 0 ? undefined : options.onPaths(paths, name);
  };
  const log = (lines: ReturnType<LineSplitter['push']>): void => {
    for (const line of lines) {
      if (line.text === '') continue;
      const shown = logLine(line);
      lastLines.push(shown);
      options.onLog(name, shown);
    }
  };
  const drainMs = options.drainMs ?? DEFAULT_DRAIN_MS;
  const { end, outputHeld } = await runProgram({
    ...options,
    path: picker.path,
    args: [],
    drainMs,
    onStdout: (chunk) => handOver(records.push(chunk)),
    onStderr: (chunk) => log(errors.push(chunk)),
  });
  log(errors.end());
  await handOver(records.end(end.kind === 'exited' && !outputHeld));

  const problems: Problem[] = [];
  const broken = (message: string): void => {
    problems.push({ severity: 'broken', code: 'picker-failed', message, source: name });
  };
  if (!succeeded(end)) broken(`picker ${name} ${describeEnd(end, lastLines.text)}`);
  else if (outputHeld) {
    broken(
      `picker ${name} ended, but a process it left behind held its output open ${drainMs / 1000} s later, ` +
        'so its list may lack paths: let it wait for what it starts, or redirect that one’s output',
    );
  }
  problems.push(...refusalProblems(name, records));
  return { name, printed, end, problems };
}

function refusalProblems(name: string, records: PathRecords): Problem[] {
  const { refused } = records;
  return [
    ...eachRefused(
      name,
      'picker-relative-path',
      refused.relative,
      (shown) => `a path that is not absolute: ${shown}`,
    ),
    ...eachRefused(
      name,
      'picker-odd-path',
      refused['contains-nul'],
      (shown) => `a path with a NUL in it: ${shown}`,
    ),
    ...eachRefused(
      name,
      'picker-long-record',
      refused['too-long'],
      (shown) => `a record of more than ${MAX_RECORD_BYTES / 1024} KiB, which begins with ${shown}`,
    ),
  ];
}

/** One problem each for the first, and one for all others. */
function eachRefused(
  name: string,
  code: string,
  refusals: Refusals,
  describe: (shown: string) => string,
): Problem[] {
  const problems = refusals.first.map((record): Problem => {
    const message = `picker ${name} printed ${describe(displayPath(record))}`;
    return { severity: 'failure', code, message, source: name };
  });
  const more = refusals.count - refusals.first.length;
  if (more > 0) {
    const message = `picker ${name} printed ${more} more such records (${code})`;
    problems.push({ severity: 'failure', code, message, source: name });
  }
  return problems;
}
