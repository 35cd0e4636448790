import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type EventListener,
  type ExpireResult,
  type KeptRun,
  SysbackupError,
  expire,
  shellWord,
} from '../../src/index.js';
import { configured, requireConf } from '../configured.js';
import { eventLogger } from '../presentation/event-lines.js';
import { printable } from '../presentation/printable.js';
import { formatBytes, formatCount } from '../presentation/quantities.js';
import { saysSummary } from '../presentation/says-summary.js';
import type { Session } from '../session.js';

interface Flags {
  directory?: string;
  accept?: string[];
  dryRun?: true;
  lastToo?: true;
}

const AFTER_HELP = `
A directory store never deletes by itself. This removes what no lock holds any more and no living run names, as the
lifecycle of a bucket does. However old they are, two runs of each backup stay: the newest that holds anything, and the
newest that is not far smaller than the largest, which is what renew keeps too. Those whose locks have ended are named,
with the option that lets them go. A run that is dated ahead of the store's clock stays, and where all are, the clock is
wrong and nothing is removed: exit code 14.

Examples:
  s3-sysbackup expire --dry-run
  s3-sysbackup expire --directory /srv/backup
  s3-sysbackup expire --directory /srv/backup --accept web1-backup/20261120T020000Z-1a2b3c4d
`;

export function define(command: Command): void {
  command
    .option('--directory <path>', 'the store (default: the conf’s)')
    .option('--accept <name/run>', 'a run from which on a backup is smaller with good reason', collect)
    .option('--dry-run', 'only count')
    .option('--last-too', 'keep no run whose locks have ended, not even a backup’s newest')
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const { directory, accept, dryRun = false, lastToo = false } = command.opts<Flags>();
  const onEvent = eventLogger(session.log);
  const result = await expire({
    path:
      directory === undefined
        ? await configuredDirectory(session, onEvent)
        : resolve(session.workingFolder, directory),
    dryRun,
    keepNewest: !lastToo,
    accepted: accept,
    onEvent,
    signal: session.signal,
  });
  if (session.globals.json === true) session.output.json(result);
  else if (dryRun || saysSummary(session, 0))
    for (const line of linesOf(result, dryRun)) session.output.line(line);
  return 0;
}

/** Throws USAGE where the conf's store is no directory. */
async function configuredDirectory(session: Session, onEvent: EventListener): Promise<string> {
  requireConf(session, '--directory');
  const { settings } = await configured(session, onEvent);
  const { destination } = settings;
  if (destination.kind === 'directory') return destination.path;
  throw new SysbackupError('USAGE', "the conf's store is a bucket, and expire is for directories", {
    hint: "A bucket's lifecycle removes what has lapsed. For a directory give --directory PATH.",
  });
}

function linesOf(result: ExpireResult, dryRun: boolean): string[] {
  const { runsKept, runsRemoved, kept, removed, bytes } = result;
  const what = `${formatCount(runsRemoved)} manifests and ${formatCount(removed)} objects, ${formatBytes(bytes)}`;
  const rest = `${formatCount(runsKept)} manifests and ${formatCount(kept)} objects stay`;
  return [
    `${dryRun ? 'would remove' : 'removed'} ${what}; ${rest}`,
    ...result.keptRuns.map((run) => printable(keptLine(run))),
  ];
}

function keptLine({ backup, run, reasons, letGoBy }: KeptRun): string {
  const why = reasons.includes('newest')
    ? `it is the newest run of ${backup} that holds anything`
    : reasons.includes('last-good')
      ? 'those after it hold less than half as much'
      : "it is dated ahead of the store's clock";
  const option = letGoBy === undefined ? '--last-too' : `--accept ${shellWord(letGoBy)}`;
  return `  ${backup}/${run} is not locked any more and stays, since ${why}; let it go with ${option}`;
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
