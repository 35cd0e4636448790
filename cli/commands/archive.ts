import { type Command, InvalidArgumentError, Option } from 'commander';
import { configured } from '../configured.js';
import { createStoreCommand } from '../create-store-command.js';
import { limitHeapGrowth } from '../memory.js';
import {
  type EventListener,
  SysbackupError,
  archive,
  exitCodeOfOutcome,
  requireSources,
} from '../../src/index.js';
import { archiveSummary } from '../presentation/archive-summary.js';
import { EventPresenter, type ProgressChoice } from '../presentation/event-presenter.js';
import { printPathsToStore } from '../presentation/paths-to-store.js';
import { saysSummary } from '../presentation/says-summary.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags {
  name?: string;
  dryRun?: true;
  list?: true;
  progress: ProgressChoice;
  maxRequests?: number;
  createStore?: true;
}

const AFTER_HELP = `
Runs the executables in pickers.d, whose output says which paths to back up, and those in snapshots.d, and stores
what is new. A picker that prints nothing makes the run broken, and a snapshotter that writes nothing to its descriptor
has failed, unless the conf has "allow_empty = NAME" under [programs]. With --json, each line is an event, and the last
one the summary; --log-level debug adds one for each object stored. After three runs and 48 hours without a complete
one, the summary's first line says since when. The exit code of a dry run is the one that the run
would have, as far as it looks.

With --list, a path is "new", "changed" since the last run (a file written at the very moment in which that read it
counts as changed), or stored "again", as the store has lost something of it or did not keep it locked. The summary has
the number of locks that are due. With --json: {"type": "path", "path", "kind", "change", "bytes"}.

A directory is stored in where it is the store that this machine has stored to at that path, or where it knows of none
there. A disk that is not mounted, or another one, is refused with exit code 10; --create-store takes it, once.

Examples:
  s3-sysbackup archive
  s3-sysbackup archive --dry-run
  s3-sysbackup archive --dry-run --list            what has changed since the last run
  s3-sysbackup archive --name web1 --log-to /var/log/s3-sysbackup.log
  s3-sysbackup archive --quiet                     for cron: mails only what did not go well
  s3-sysbackup archive --create-store          on a new backup disk, once
`;

/** How an outcome that is not complete is logged. */
const OUTCOME_LEVEL = { complete: undefined, partial: 'warning', broken: 'error' } as const;

export function define(command: Command): void {
  command
    .option('--name <name>', 'whose backup this is (default: [backup] name, or <hostname>-backup)')
    .option('--dry-run', 'only look: nothing is read, stored or remembered')
    .option('--list', 'with --dry-run: a line for each path that would be stored, new or changed')
    .addOption(
      new Option('--progress <when>', 'show how far it is; auto: on a terminal')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    )
    .option(
      '--create-store',
      'take a directory that is refused: make a new store there, or store to another disk too',
    )
    .option('--max-requests <n>', 'stop before sending the store more requests than this', positive)
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  if (flags.list === true && flags.dryRun !== true)
    throw new SysbackupError('USAGE', '--list is for --dry-run', {
      hint: '`s3-sysbackup archive --dry-run --list` shows what would be stored; `s3-sysbackup ls` what is in a run.',
    });
  // A list that was cut short must not seem whole.
  session.output.isProduct = flags.list === true;
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
    const { destination, statePath } = settings;
    if (flags.createStore === true && destination.kind !== 'directory')
      throw new SysbackupError('USAGE', '--create-store is for a directory, and the conf names a bucket', {
        hint: 'create-resources makes a bucket.',
      });
    await requireSources(settings.confDir, session.user.uid);
    const archiving = {
      statePath,
      createStore: flags.createStore,
      dryRun: flags.dryRun,
      createStoreCommand: createStoreCommand(session, destination, flags.name),
    };
    const opening = { archiving, maxRequests: flags.maxRequests, onEvent };
    return await withStore(session, destination, opening, async ({ store, requests }) => {
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
        ...(flags.list === true ? { onPaths: (paths) => printPathsToStore(session, paths) } : {}),
      });
      presenter.finish();
      // For the journal: under systemd a partial run succeeds, and this line is what a filter by priority finds.
      const level = OUTCOME_LEVEL[summary.outcome];
      if (level !== undefined && summary.estimate === undefined)
        onEvent({
          type: 'log',
          level,
          message: `${summary.backup}: run ${summary.run} is ${summary.outcome}`,
        });
      for (const line of archiveSummary(summary, store.description)) fileLog.write('info', line);
      const exitCode = exitCodeOfOutcome(summary.outcome);
      if (session.globals.json === true) output.json({ type: 'summary', ...summary, exitCode });
      else if (summary.estimate !== undefined || saysSummary(session, exitCode))
        for (const line of archiveSummary(summary, store.description, output.columns)) output.line(line);
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
