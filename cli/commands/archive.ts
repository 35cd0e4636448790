import { type Command, InvalidArgumentError, Option } from 'commander';
import { configured } from '../configured.js';
import { limitHeapGrowth } from '../memory.js';
import { type EventListener, SysbackupError, archive, exitCodeOfOutcome } from '../../src/index.js';
import { archiveSummary } from '../presentation/archive-summary.js';
import { EventPresenter, type ProgressChoice } from '../presentation/event-presenter.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags {
  name?: string;
  dryRun?: true;
  progress: ProgressChoice;
  maxRequests?: number;
}

const AFTER_HELP = `
Runs the executables in pickers.d, whose output says which paths to back up, and those in snapshots.d, and stores
what is new. With --json, each line is an event, and the last one the summary; --log-level debug adds one for each
object stored.

Examples:
  s3-sysbackup archive
  s3-sysbackup archive --dry-run
  s3-sysbackup archive --name web1 --log-to /var/log/s3-sysbackup.log
`;

/** How an outcome that is not complete is logged. */
const OUTCOME_LEVEL = { complete: undefined, partial: 'warning', broken: 'error' } as const;

export function define(command: Command): void {
  command
    .option('--name <name>', 'whose backup this is (default: [backup] name, or <hostname>-backup)')
    .option('--dry-run', 'only look: nothing is read, stored or remembered')
    .addOption(
      new Option('--progress <when>', 'show how far it is; auto: on a terminal')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option('--max-requests <n>', 'stop before sending the store more requests than this', positive)
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const presenter = new EventPresenter(session, flags.progress);
  const onEvent: EventListener = (event) => {
    if (event.type === 'phase' && event.phase === 'content') limitHeapGrowth();
    presenter.listener(event);
  };
  try {
    const { settings } = await configured(session, onEvent, {
      backupName: flags.name,
      refuseMisspelt: true,
    });
    const opening = { create: true, maxRequests: flags.maxRequests, onEvent };
    return await withStore(session, settings.destination, opening, async ({ store, requests }) => {
      const { env, user, host, tool, signal, output, fileLog } = session;
      const summary = await archive({
        settings,
        store,
        requests,
        env,
        uid: user.uid,
        host,
        tool,
        onEvent,
        signal,
        dryRun: flags.dryRun === true,
      });
      // For the journal: under systemd a partial run succeeds, and this line is what a filter by priority finds.
      const level = OUTCOME_LEVEL[summary.outcome];
      if (level !== undefined && summary.estimate === undefined)
        onEvent({
          type: 'log',
          level,
          message: `${summary.backup}: run ${summary.run} is ${summary.outcome}`,
        });
      presenter.finish();
      for (const line of archiveSummary(summary, store.description)) fileLog.write('info', line);
      const exitCode = exitCodeOfOutcome(summary.outcome);
      if (session.globals.json === true) output.json({ type: 'summary', ...summary, exitCode });
      else for (const line of archiveSummary(summary, store.description, output.columns)) output.line(line);
      return exitCode;
    });
  } catch (error) {
    throw session.signal.aborted ? stopped(error) : error;
  } finally {
    presenter.finish();
  }
}

function stopped(cause: unknown): SysbackupError {
  return new SysbackupError('ABORTED', 'stopped before the end', {
    hint: 'No manifest was stored; what was stored is used again by the next run.',
    cause,
  });
}

function positive(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number, 1 at least.');
}
