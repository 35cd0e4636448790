import {
  type EventListener,
  type RestoredSnapshot,
  type RestoreSnapshotsSummary,
  runRestoreThrough,
} from '../../src/index.js';
import { printable } from '../presentation/printable.js';
import { formatBytes } from '../presentation/quantities.js';
import { isYes } from '../question.js';
import type { Session } from '../session.js';

/** What became of a snapshot's command. */
export type Through = 'done' | 'failed' | 'declined';

export type ThroughSnapshots = RestoreSnapshotsSummary & { through: Map<string, Through> };

/**
 * Runs the commands that restored snapshots ask for, one after the other, each when it has been shown and, unless
 * `yes`, asked about. A command is text from the bucket. What fails is added to the problems.
 */
export async function restoreThrough(
  summary: RestoreSnapshotsSummary,
  session: Session,
  { yes, onEvent }: { yes: boolean; onEvent: EventListener },
): Promise<ThroughSnapshots> {
  const through = new Map<string, Through>();
  const problems = [...summary.problems];
  for (const snapshot of summary.restored) {
    if (snapshot.restoreThrough === undefined) continue;
    if (session.terminal) session.screen.status('');
    for (const line of linesAbout(snapshot, session)) session.screen.line(line);
    const isWanted = yes || isYes(await session.question?.('Run it? [y/N] '));
    if (!isWanted) {
      through.set(snapshot.name, 'declined');
      continue;
    }
    const { env, signal } = session;
    const problem = await runRestoreThrough({ snapshot, env, onEvent, signal });
    if (problem !== undefined) problems.push(problem);
    through.set(snapshot.name, problem === undefined ? 'done' : 'failed');
  }
  return { ...summary, problems, through };
}

function linesAbout(
  { name, size, description, restoreThrough = '' }: RestoredSnapshot,
  { userAtHost }: Session,
): string[] {
  const about = (description ?? '').split('\n').filter((line) => line !== '');
  return [
    `Snapshot ${name}, ${formatBytes(size)}`,
    ...about.map((line) => `  ${line}`),
    `  asks to be restored through this shell command, as ${userAtHost}, into its standard input:`,
    `    ${restoreThrough}`,
  ].map(printable);
}
