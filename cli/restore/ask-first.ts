import { readdirSync } from 'node:fs';
import {
  errnoOf,
  type PathAction,
  type RestoreOptions,
  type RestoreSummary,
  displayPath,
  restore,
} from '../../src/index.js';
import { printable } from '../presentation/printable.js';
import { countOf, formatBytes, formatCount } from '../presentation/quantities.js';
import { isYes, type Question } from '../question.js';
import type { Session } from '../session.js';

const SHOWN = 10;

/**
 * Looks at what a restore would do, shows it, what would be overwritten above all, and asks whether to go on. In place
 * it asks where there is anything to be done, below another target only where existing paths would be replaced.
 */
export async function mayRestore(
  options: RestoreOptions,
  session: Session,
  question: Question,
): Promise<boolean> {
  const inPlace = options.target === '/';
  if (!inPlace && isEmpty(options.target)) return true;
  const overwritten: string[] = [];
  const onPath = ({ does, path }: PathAction): void => {
    if (does === 'replace' && overwritten.length < SHOWN) overwritten.push(displayPath(path));
  };
  const { onEvent } = options;
  const plan = await restore({
    ...options,
    dryRun: true,
    onPath,
    // Its problems are told when it is done.
    onEvent: (event) => {
      if (event.type !== 'problem' && event.type !== 'log') onEvent?.(event);
    },
  });
  if (session.terminal) session.screen.status('');
  const { done } = plan;
  const touched = inPlace ? done.create + done.replace + done.link + done['set-metadata'] : done.replace;
  if (touched === 0) return true;
  const where = inPlace ? 'where it came from' : options.target;
  for (const line of planLines(plan, where, overwritten)) session.screen.line(printable(line));
  return isYes(await question('Go on? [y/N] '));
}

/** Whether there is nothing that could be replaced, for sure. */
function isEmpty(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
}

function planLines(
  { backup, run, done, bytes, failed, problems }: RestoreSummary,
  where: string,
  overwritten: readonly string[],
): string[] {
  const failures = problems.filter(({ severity }) => severity === 'failure');
  const more = done.replace - overwritten.length;
  return [
    `Restoring run ${run} of ${backup} to ${where}`,
    `  overwrites       ${countOf(done.replace, 'path')}${done.replace > 0 ? ':' : ''}`,
    ...overwritten.map((path) => `                     ${path}`),
    ...(more > 0 ? [`                     and ${formatCount(more)} more (--dry-run lists all)`] : []),
    `  creates          ${countOf(done.create + done.link, 'path')}`,
    `  sets mode, owner and time of ${countOf(done['set-metadata'], 'path')} that ${done['set-metadata'] === 1 ? 'has' : 'have'} the right content`,
    `  leaves as it is  ${countOf(done.keep, 'path')}, and all that the run does not have`,
    `  fetches          ${formatBytes(bytes)}`,
    ...(failed > 0 ? [`  cannot restore   ${countOf(failed, 'path')}:`] : []),
    ...failures.slice(0, SHOWN).map(({ message }) => `                     ${message}`),
    ...(failures.length > SHOWN ? ['                     and more (--dry-run lists all)'] : []),
  ];
}
