import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  type ColdStorage,
  type EventListener,
  FrozenObjects,
  type ObjectStore,
  type RestoreSummary,
  type StoredRun,
  SysbackupError,
  resolveRun,
  restore,
  restoreSnapshots,
  restoreToTar,
} from '../../src/index.js';
import { EventPresenter } from '../presentation/event-presenter.js';
import { PathActionPresenter } from '../presentation/path-actions.js';
import {
  type Restored,
  exitCodeOfRestore,
  jsonOfRestore,
  restoreSummary,
} from '../presentation/restore-summary.js';
import { tellRun } from '../presentation/which-run.js';
import { mayRestore } from '../restore/ask-first.js';
import { addRestoreOptions, checkFlags, filesTo, type RestoreFlags } from '../restore/flags.js';
import { restoreThrough } from '../restore/through.js';
import { withTarFile } from '../restore/tar-file.js';
import { thawFrozen } from '../restore/thaw-frozen.js';
import { saysSummary } from '../presentation/says-summary.js';
import { RUN_HELP } from '../run-help.js';
import type { Session } from '../session.js';
import { spoolFolder } from '../spool-folder.js';
import { chooseStore, withStore } from '../store.js';

const AFTER_HELP = `${RUN_HELP}

Without RUN it is "latest". /a/b comes back as DIR/a/b; without --target as /a/b, after you were shown what would be
overwritten and said yes. What was interrupted goes on when it is started again.

GLOB is matched against the whole path as it was backed up: * and ? within a name, ** across folders. One that does
not begin with / may begin in any folder. A folder stands for all that is below it. A GLOB that is literally a path of
the run, or a folder above one, like /srv/Reports(2026), is taken literally.

Examples:
  s3-sysbackup restore --target /tmp/back
  s3-sysbackup restore --include /etc/nginx
  s3-sysbackup restore 2026-11-20 --target /tmp/back
  s3-sysbackup restore web1-backup --bucket my-backups --target /tmp/web1 --include /etc --exclude '*.bak'
  s3-sysbackup restore --to-tar - | ssh web1 tar --acls --xattrs --xattrs-include='*' -xpf - -C /
  s3-sysbackup restore --to-tar /tmp/web1.tar --force
  s3-sysbackup restore --profile restore --include /etc/nginx --target /tmp/back
  s3-sysbackup restore 20261120T121033Z-1f2e3d4c --snapshots /tmp/dumps
  s3-sysbackup restore --snapshots /var/tmp/dumps --run-restore-through
`;

export function define(command: Command): void {
  addRestoreOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<RestoreFlags>();
  checkFlags(flags, session);
  session.output.isProduct = flags.toTar === '-';
  const presenter = new EventPresenter(session, flags.dryRun === true ? 'never' : flags.progress);
  const onEvent = presenter.listener;
  try {
    const { destination, backup, statePath, assume } = await chooseStore(session, flags, onEvent);
    return await withStore(session, destination, { onEvent, assume }, async ({ store, cold }) => {
      const chosen = await resolveRun(store, command.processedArgs[0] as string, { backup, onEvent });
      tellRun(chosen, onEvent);
      const spool = spoolFolder(session, statePath);
      const restored = await restoreRun({ session, flags, store, cold, chosen, spool, onEvent });
      presenter.finish();
      const lines = restoreSummary(restored);
      for (const line of lines) session.fileLog.write('info', line);
      const exitCode = exitCodeOfRestore(restored);
      if (session.globals.json === true) session.output.json(jsonOfRestore(restored));
      else if (flags.dryRun === true || saysSummary(session, exitCode)) {
        // Standard output has the tar.
        const toScreen = flags.toTar === '-' && flags.dryRun !== true;
        for (const line of lines) (toScreen ? session.screen : session.output).line(line);
      }
      return exitCode;
    });
  } finally {
    presenter.finish();
  }
}

interface Work {
  session: Session;
  flags: RestoreFlags;
  store: ObjectStore;
  cold: ColdStorage | undefined;
  chosen: StoredRun;
  spool: string;
  onEvent: EventListener;
}

async function restoreRun(work: Work): Promise<Restored> {
  const { session, flags, store, chosen, spool, onEvent } = work;
  const { signal, workingFolder } = session;
  const run = { key: chosen.key, version: chosen.version };
  const frozen = new FrozenObjects();
  const common = { store, run, spoolFolder: spool, frozen, onEvent, signal };
  const restored: Restored = {};
  const to = filesTo(flags);
  if (to === 'tar') restored.tar = await toTar(work, frozen);
  else if (to !== undefined) {
    const target = to === 'target' ? resolve(workingFolder, flags.target ?? '') : '/';
    const { include, exclude, overwrite, checksum, dryRun } = flags;
    const options = { ...common, target, include, exclude, overwrite, checksum, dryRun };
    // Who says --overwrite has said what is to happen to existing files.
    const asks = flags.yes !== true && dryRun !== true && (to === 'in-place' || overwrite === undefined);
    if (asks && session.question && !(await mayRestore(options, session, session.question)))
      throw new SysbackupError('ABORTED', 'nothing was restored: you did not say yes');
    const actions = new PathActionPresenter(session, dryRun === true);
    const done = await restore({ ...options, onPath: actions.show }).catch((error: unknown) => {
      throw session.signal.aborted && dryRun !== true ? stopped(error) : error;
    });
    restored.files = { ...done, target };
  }
  if (flags.snapshots !== undefined) {
    const into = resolve(workingFolder, flags.snapshots);
    const fetched = await restoreSnapshots({ ...common, into });
    const { runRestoreThrough, yes = false } = flags;
    restored.snapshots =
      runRestoreThrough === true
        ? { ...(await restoreThrough(fetched, session, { yes, onEvent })), into }
        : { ...fetched, through: new Map(), into };
  }
  const found = await thawFrozen(frozen, flags, session, { cold: work.cold, onEvent });
  if (found) restored.frozen = found;
  return restored;
}

function stopped(cause: unknown): SysbackupError {
  return new SysbackupError('ABORTED', 'stopped before the end', {
    hint: 'What was restored stays; the same command goes on with what is missing.',
    cause,
  });
}

async function toTar(work: Work, frozen: FrozenObjects): Promise<NonNullable<Restored['tar']>> {
  const { session, flags, store, chosen, spool, onEvent } = work;
  const { include, exclude, dryRun, toTar: name = '-' } = flags;
  const actions = new PathActionPresenter(session, dryRun === true);
  const run = { key: chosen.key, version: chosen.version };
  const common = {
    store,
    run,
    spoolFolder: spool,
    frozen,
    onEvent,
    signal: session.signal,
    include,
    exclude,
    dryRun,
  };
  const write = async (write: (bytes: Uint8Array) => Promise<void>): Promise<RestoreSummary> =>
    await restoreToTar({ ...common, onPath: actions.show, write });
  if (dryRun === true) return { ...(await write(async () => undefined)), file: name };
  if (name === '-') return { ...(await write((bytes) => session.output.bytes(bytes))), file: undefined };
  const path = resolve(session.workingFolder, name);
  return { ...(await withTarFile(path, flags.force === true, write)), file: path };
}
