import { close, constants, open } from 'node:fs';
import { promisify } from 'node:util';
import { messageOf } from '../errors.js';
import type { EventListener, Problem } from '../events.js';
import { displayPath, pathFromText } from '../files/byte-path.js';
import { LastLines, type Line, LineSplitter, logLine } from '../sources/lines.js';
import { describeEnd, succeeded } from '../sources/program-end.js';
import { runProgram } from '../sources/program.js';
import type { RestoredSnapshot } from './snapshots.js';

export interface RunRestoreThroughOptions {
  /** With a command: see {@link RestoredSnapshot.restoreThrough}. */
  snapshot: RestoredSnapshot;
  /** The command's whole environment. */
  env: Readonly<Record<string, string>>;
  /** Gets what the command prints, as `log` events. */
  onEvent?: EventListener | undefined;
  /** Stops the command and what it started. */
  signal?: AbortSignal | undefined;
}

const openAsync = promisify(open);
const closeAsync = promisify(close);

const MAX_LINE_BYTES = 4096;
/** For processes that the command left behind and that hold its output: a server that it started. */
const DRAIN_MS = 2000;

/**
 * Runs the shell command that a snapshot is to be restored through (`sh -c`, in `/`, without a terminal), with the
 * restored file as its standard input. The file stays, whatever comes of it.
 *
 * The command is text from the bucket: whoever calls this has shown it to a person, who asked for it.
 *
 * Returns the problem where the command did not end with exit code 0. Throws ABORTED.
 */
export async function runRestoreThrough(options: RunRestoreThroughOptions): Promise<Problem | undefined> {
  const { snapshot, env, onEvent, signal } = options;
  const { name, path, restoreThrough = '' } = snapshot;
  const failed = (message: string): Problem => {
    const shown = displayPath(pathFromText(name));
    const problem: Problem = {
      severity: 'failure',
      code: 'restore-through-failed',
      source: name,
      message: `snapshot ${shown}: ${message}; its bytes are kept in ${displayPath(pathFromText(path))}`,
    };
    onEvent?.({ type: 'problem', problem });
    return problem;
  };
  let stdin: number;
  try {
    // As it was written, and no symlink put there since.
    stdin = await openAsync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    return failed(`it cannot be read again: ${messageOf(error)}`);
  }
  const lastLines = new LastLines();
  const log = (lines: readonly Line[]): void => {
    for (const line of lines) {
      const message = logLine(line);
      lastLines.push(message);
      onEvent?.({ type: 'log', level: 'info', source: name, message });
    }
  };
  const outputs = [0, 1].map(() => new LineSplitter(/[\r\n]/, MAX_LINE_BYTES));
  try {
    const { end } = await runProgram({
      path: pathFromText('/bin/sh'),
      args: ['-c', restoreThrough],
      env,
      stdin,
      drainMs: DRAIN_MS,
      signal,
      onStdout: (chunk) => log(outputs[0]?.push(chunk) ?? []),
      onStderr: (chunk) => log(outputs[1]?.push(chunk) ?? []),
    });
    for (const output of outputs) log(output.end());
    return succeeded(end) ? undefined : failed(`its command ${describeEnd(end, lastLines.text)}`);
  } finally {
    await closeAsync(stdin);
  }
}
