import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import {
  type EventListener,
  type ObjectStore,
  type Overwrite,
  type StoredRun,
  SysbackupError,
  resolveRun,
  restore,
  restoreSnapshots,
} from '../../src/index.js';
import { EventPresenter, type ProgressChoice } from '../presentation/event-presenter.js';
import { PathActionPresenter } from '../presentation/path-actions.js';
import {
  type Restored,
  exitCodeOfRestore,
  jsonOfRestore,
  restoreSummary,
} from '../presentation/restore-summary.js';
import { tellRun } from '../presentation/which-run.js';
import type { Session } from '../session.js';
import { type StoreFlags, addStoreOptions } from '../store-flags.js';
import { chooseStore, withStore } from '../store.js';

interface Flags extends StoreFlags {
  target?: string;
  snapshots?: string;
  include?: string[];
  exclude?: string[];
  overwrite: Overwrite;
  dryRun?: true;
  progress: ProgressChoice;
}

const AFTER_HELP = `
RUN is a run id, a backup name (its newest run that is not broken), or "latest" (the default): the same of the
configured backup name. /a/b comes back as DIR/a/b.

GLOB is matched against the whole path as it was backed up: * and ? within a name, ** across folders. One that does
not begin with / may begin in any folder. A folder stands for all that is below it.

Examples:
  s3-sysbackup restore --target /tmp/back
  s3-sysbackup restore web1-backup --bucket my-backups --target /tmp/web1 --include /etc --exclude '*.bak'
  s3-sysbackup restore 20261120T121033Z-1f2e3d4c --snapshots /tmp/dumps
`;

export function define(command: Command): void {
  command
    .argument('[run]', 'which run', 'latest')
    .option('--target <dir>', 'folder to restore the files below')
    .option('--snapshots <dir>', 'folder to write the snapshots to')
    .option('--include <glob>', 'restore these paths only (repeatable)', collect)
    .option('--exclude <glob>', 'leave these paths out (repeatable)', collect)
    .addOption(
      new Option(
        '--overwrite <when>',
        'what is there already; if-changed: unless its size and time are right',
      )
        .choices(['always', 'if-changed', 'never'])
        .default('if-changed'),
    )
    .option('--dry-run', 'list what would be done, and do nothing')
    .addOption(
      new Option('--progress <when>', 'show how far it is; auto: on a terminal')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    );
  addStoreOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  checkFlags(flags);
  const presenter = new EventPresenter(session, flags.dryRun === true ? 'never' : flags.progress);
  const onEvent = presenter.listener;
  try {
    const { destination, backup } = await chooseStore(session, flags, onEvent);
    return await withStore(session, destination, { onEvent }, async ({ store }) => {
      const chosen = await resolveRun(store, command.processedArgs[0] as string, { backup, onEvent });
      tellRun(chosen, onEvent);
      const restored = await restoreRun(session, store, chosen, flags, onEvent);
      presenter.finish();
      const lines = restoreSummary(restored);
      for (const line of lines) session.fileLog.write('info', line);
      if (session.globals.json === true) session.output.json(jsonOfRestore(restored));
      else for (const line of lines) session.output.line(line);
      return exitCodeOfRestore(restored);
    });
  } finally {
    presenter.finish();
  }
}

function checkFlags({ target, snapshots, dryRun, include, exclude }: Flags): void {
  if (target === undefined && snapshots === undefined)
    throw new SysbackupError('USAGE', 'restoring files to the paths they came from is not possible yet', {
      hint: 'Give a folder to restore them below, with --target DIR.',
    });
  if (target === undefined && (include !== undefined || exclude !== undefined))
    throw new SysbackupError('USAGE', '--include and --exclude choose files, which --target DIR asks for', {
      hint: 'Give --target DIR too, or leave them out.',
    });
  if (snapshots !== undefined && dryRun === true)
    throw new SysbackupError('USAGE', '--dry-run is for files, and --snapshots would write', {
      hint: 'Leave out one or the other.',
    });
}

async function restoreRun(
  session: Session,
  store: ObjectStore,
  { key, version }: StoredRun,
  flags: Flags,
  onEvent: EventListener,
): Promise<Restored> {
  const { signal, workingFolder } = session;
  const common = { store, run: { key, version }, spoolFolder: tmpdir(), onEvent, signal };
  const restored: Restored = {};
  if (flags.target !== undefined) {
    const target = resolve(workingFolder, flags.target);
    const { include, exclude, overwrite } = flags;
    const dryRun = flags.dryRun === true;
    const actions = new PathActionPresenter(session, dryRun);
    const files = await restore({
      ...common,
      target,
      include,
      exclude,
      overwrite,
      dryRun,
      onPath: actions.show,
    });
    restored.files = { ...files, target };
  }
  if (flags.snapshots !== undefined) {
    const into = resolve(workingFolder, flags.snapshots);
    restored.snapshots = { ...(await restoreSnapshots({ ...common, into })), into };
  }
  return restored;
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
