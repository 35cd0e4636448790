import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import {
  documentPath,
  failureOfVerification,
  mendRun,
  resolveRun,
  type Settings,
  SysbackupError,
  verify,
} from '../../src/index.js';
import { eventLogger } from '../presentation/event-lines.js';
import { EventPresenter } from '../presentation/event-presenter.js';
import { jsonOfVerification, verificationLines } from '../presentation/verification.js';
import { saysSummary } from '../presentation/says-summary.js';
import { RUN_HELP } from '../run-help.js';
import type { Session } from '../session.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

interface Flags extends ReadFlags {
  name?: string;
  /** True without a share; a text where the run's name came right behind the option. */
  readData?: number | true | string;
  sample?: number;
  setAside?: true;
}

const DAY_MS = 86_400_000;

const AFTER_HELP = `${RUN_HELP}

Without RUN all runs are verified that are not broken. Listings show that everything is there; locks are asked for one
by one, of all objects or a sample; --read-data reads objects and compares their hashes. A sample is another one each
day, and in 100 / PERCENT days it has been everything.

Exit code 1: something is missing or damaged; 13: all is there, but a lock is shorter than promised.

What is damaged in a directory is healed in two steps: --set-aside reads it once more and, if it is still wrong, moves it
out of its place; the next archive of each machine that still has the file stores it again. A manifest is touched only
where its run is named: whole but without a readable sidecar, it gets that back; not whole, it is set aside. A disk that
fails (EIO) is no damage: copy what is on it first. All of it, and what to do in a bucket: ${documentPath('damage.md')}

Examples:
  s3-sysbackup verify
  s3-sysbackup verify latest --read-data
  s3-sysbackup verify --bucket my-backups --sample 10 --read-data=2
  s3-sysbackup verify --read-data --set-aside --directory /srv/backup
  s3-sysbackup verify --set-aside web1-backup/20261120T140904Z-cfd92066
`;

export function define(command: Command): void {
  command
    .argument('[run]', 'which run (default: all)')
    .option('--name <name>', 'only the backups of this name')
    .option('--read-data [percent]', 'read and hash so much of it (default: all)', percentOrRun)
    .option('--sample <percent>', 'ask for the locks of so many objects (default: 100)', percent)
    .option('--set-aside', 'in a directory: move what is damaged to set-aside/, write broken sidecars again');
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const given = command.processedArgs[0] as string | undefined;
  const { wanted, readData } = runAndShare(given, flags.readData);
  const presenter = new EventPresenter(session, 'auto');
  // With --json the result is one document, and standard output holds nothing else.
  const onEvent = session.globals.json === true ? eventLogger(session.log) : presenter.listener;
  const spoolFolder = await mkdtemp(join(tmpdir(), 's3-sysbackup-verify-'));
  try {
    const { destination, backup, assume } = await chooseStore(session, flags, onEvent);
    const path = flags.setAside === true ? directoryOf(destination) : undefined;
    return await withStore(session, destination, { onEvent, assume }, async ({ store }) => {
      const { signal } = session;
      let sidecars = 0;
      if (path !== undefined && wanted !== undefined)
        sidecars = await mendRun({ store, path, run: wanted, spoolFolder, onEvent, signal });
      const run = wanted === undefined ? undefined : await resolveRun(store, wanted, { backup, onEvent });
      const named = run !== undefined && (wanted === run.run || wanted === `${run.backup}/${run.run}`);
      const result = await verify({
        store,
        run,
        setAside: path === undefined ? undefined : { path, manifest: named },
        backup: flags.name,
        sample: flags.sample,
        readData,
        seed: Math.floor(Date.now() / DAY_MS),
        spoolFolder,
        onEvent,
        signal,
      });
      result.mended.sidecars += sidecars;
      presenter.finish();
      const exitCode = (await failureOfVerification(result))?.exitCode ?? 0;
      if (session.globals.json === true) session.output.json(jsonOfVerification(result));
      else if (saysSummary(session, exitCode))
        for (const line of verificationLines(result)) session.output.line(line);
      return exitCode;
    });
  } finally {
    presenter.finish();
    await rm(spoolFolder, { recursive: true, force: true });
  }
}

/** Throws USAGE for a bucket. */
function directoryOf(destination: Settings['destination']): string {
  if (destination.kind === 'directory') return destination.path;
  throw new SysbackupError(
    'USAGE',
    'in a bucket nothing can be set aside: what is stored there stays as it is',
    {
      hint: `What to do about damage in a bucket: ${documentPath('damage.md')}`,
    },
  );
}

/** `--read-data RUN`: the option's value is optional, and a run's name right behind it looks like one. */
function runAndShare(
  given: string | undefined,
  readData: Flags['readData'],
): { wanted: string | undefined; readData: number | undefined } {
  if (typeof readData !== 'string') return { wanted: given, readData: readData === true ? 100 : readData };
  if (given === undefined) return { wanted: readData, readData: 100 };
  throw new SysbackupError('CONFIG', `${readData} is no share of the data, and ${given} is the run already`, {
    hint: 'Write --read-data=PERCENT, with a number above 0, and 100 at most.',
  });
}

/** A date, and the beginning of a run id that says a day, consist of digits too, and are no share. */
function percentOrRun(text: string): number | string {
  if (/^(?:\d{4}-\d\d-\d\d|\d{8})$/.test(text)) return text;
  return /^[\d.%-]+$/.test(text) ? percent(text) : text;
}

function percent(text: string): number {
  const value = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && value > 0 && value <= 100) return value;
  throw new InvalidArgumentError('It must be a number above 0, and 100 at most.');
}
