import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type ExpireResult, expire } from '../../src/index.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatBytes, formatCount } from '../presentation/quantities.js';
import { saysSummary } from '../presentation/says-summary.js';
import type { Session } from '../session.js';

interface Flags {
  directory: string;
  dryRun?: true;
  lastToo?: true;
}

const AFTER_HELP = `
A directory store never deletes by itself. This removes what no lock holds any more and no living run names, as the
lifecycle of a bucket does. The newest run of each backup stays, however old it is.

Examples:
  s3-sysbackup expire --directory /srv/backup --dry-run
  s3-sysbackup expire --directory /srv/backup
`;

export function define(command: Command): void {
  command
    .requiredOption('--directory <path>', 'the store')
    .option('--dry-run', 'only count')
    .option('--last-too', 'remove a backup’s newest run too, once its locks have ended')
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const { directory, dryRun = false, lastToo = false } = command.opts<Flags>();
  const result = await expire({
    path: resolve(session.workingFolder, directory),
    dryRun,
    keepNewest: !lastToo,
    onEvent: eventLogger(session.log),
    signal: session.signal,
  });
  if (session.globals.json === true) session.output.json(result);
  else if (dryRun || saysSummary(session, 0)) session.output.line(lineOf(result, dryRun));
  return 0;
}

function lineOf({ runsKept, runsRemoved, kept, removed, bytes }: ExpireResult, dryRun: boolean): string {
  const what = `${formatCount(runsRemoved)} manifests and ${formatCount(removed)} objects, ${formatBytes(bytes)}`;
  const rest = `${formatCount(runsKept)} manifests and ${formatCount(kept)} objects stay`;
  return `${dryRun ? 'would remove' : 'removed'} ${what}; ${rest}`;
}
