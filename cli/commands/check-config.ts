import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { complaintsOf, type Purpose, PURPOSES } from '../config-complaints.js';
import { configured } from '../configured.js';
import { createStoreCommand } from '../create-store-command.js';
import {
  type AdmittedDirectory,
  combinedExitCode,
  type EventListener,
  type S3Settings,
  type ObjectStore,
  type Settings,
  type SettingsInForce,
  SysbackupError,
  findExecutables,
  gzipLibraryFor,
  listBackups,
  hostRenamed,
  type Lifecycle,
  lifecycleOf,
  storageClassWarnings,
} from '../../src/index.js';
import { bundleBelowSetting } from '../presentation/bundle-below.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatTable } from '../presentation/table.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags {
  connect?: true;
  for: Purpose;
}

const AFTER_HELP = `
With --json, all of it as {"<section>": {"<setting>": {"value": …, "source": "conf:12"}}}: the folders pickers.d and
snapshots.d as sections with an executable for each setting, and with --connect the section "store". Of a directory that
says which store it is, and whether archive would take it; where it would not, check-config ends with the same error.

Exit code 2: nothing says what to back up, or a name in the conf is not known (archive stops only for one that is
nearly a known name), or everybody may read the credentials file. A machine that only renews or restores has no
pickers: --for renew, --for restore.

Where bundle_below is not set, it is shown as the next run takes it, and why: what the catalog records; without a catalog
1 MiB, or 0 where the store has runs of this backup name and no bundles (--connect asks it).

Examples:
  s3-sysbackup check-config --connect
  s3-sysbackup check-config --conf-dir /etc/backup/renew --for renew
`;

const LIFECYCLES: Record<Lifecycle['rules'], string> = {
  seen: 'has rules',
  none: 'no rules',
  unseen: 'cannot be seen',
};

const SOURCES = ['pickers.d', 'snapshots.d'];

const SKIP_REASONS: Record<string, string> = {
  hidden: 'its name begins with a dot',
  'backup-copy': 'its name ends in ~',
  folder: 'it is a folder',
  'not-a-file': 'it is no file',
  'not-executable': 'it is not executable',
};

export function define(command: Command): void {
  command
    .option('--connect', 'try whether the store can be reached and locks what it stores')
    .addOption(
      new Option('--for <command>', 'what this machine uses the conf for')
        .choices(PURPOSES)
        .default('archive'),
    )
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const onEvent = eventLogger(session.log);
  const loaded = await configured(session, () => undefined);
  const { settings, values } = loaded;
  const warnings = [...loaded.warnings, ...(await storageClassWarnings(settings))];
  // What is an error here is not said as a warning too.
  for (const message of warnings)
    if (message !== loaded.exposedCredentials) session.log.write('warning', message);
  for (const message of loaded.notes) session.log.write('info', message);
  const shown: SettingsInForce = { ...values, content: await withGzipLibrary(settings, values['content']) };
  for (const folder of SOURCES) {
    shown[folder] = await executablesIn(join(settings.confDir, folder), session.user.uid);
  }
  const bundleBelow = async (store?: ObjectStore): Promise<void> => {
    const set = values['content']?.['bundle_below'];
    shown['content'] = { ...shown['content'], bundle_below: await bundleBelowSetting(settings, set, store) };
  };
  await bundleBelow();
  const complaints = await complaintsOf(loaded, flags.for, session);
  if (flags.connect === true) {
    try {
      shown['store'] = await tryStore(session, settings, onEvent, bundleBelow);
    } catch (error) {
      if (complaints.length === 0 || !(error instanceof SysbackupError) || session.signal.aborted)
        throw error;
      complaints.push(error);
    }
  }
  if (session.globals.json === true) session.output.json(shown);
  else for (const line of linesOf(shown)) session.output.line(line);
  for (const { message, hint } of complaints) {
    session.log.writeBare('error', `s3-sysbackup: ${message}`);
    if (hint !== undefined) session.log.writeBare('error', `hint: ${hint}`);
  }
  return combinedExitCode(complaints.map(({ exitCode }) => exitCode));
}

/** Of `auto`, which library that is here. Throws CONFIG where the one that has to be is missing. */
async function withGzipLibrary(
  { content }: Settings,
  values: SettingsInForce[string] = {},
): Promise<SettingsInForce[string]> {
  const library = await gzipLibraryFor(content.gzipLibrary);
  const setting = values['gzip_library'];
  if (content.gzipLibrary !== 'auto' || setting === undefined) return values;
  return { ...values, gzip_library: { value: library, source: `${setting.source}, auto` } };
}

/** In the form of settings: whether each runs, and its path as the source. */
async function executablesIn(folder: string, uid: number): Promise<SettingsInForce[string]> {
  const { executables, skipped } = await findExecutables(folder, { uid });
  const found = [
    ...executables.map(({ name }) => ({ name, value: 'runs' })),
    ...skipped.map(({ name, reason }) => ({
      name,
      value: `skipped: ${SKIP_REASONS[reason] ?? reason}`,
    })),
  ];
  return Object.fromEntries(found.map(({ name, value }) => [name, { value, source: join(folder, name) }]));
}

/** Throws what reaching the store throws, and STORE_UNSUITABLE where it does not lock although it must. */
async function tryStore(
  session: Session,
  settings: Settings,
  onEvent: EventListener,
  use: (store: ObjectStore) => Promise<void>,
): Promise<SettingsInForce[string]> {
  const { destination, statePath } = settings;
  const command = createStoreCommand(session, destination, undefined);
  // As an archive would open it.
  const archiving = { statePath, dryRun: true, createStoreCommand: command };
  return await withStore(session, destination, { archiving, onEvent }, async ({ store, directory }) => {
    const { objectLock, versioning } = await store.capabilities();
    // A listing needs rights of its own, and every run begins with this one. They may be for no other prefix.
    await store.list({ prefix: `manifests/${settings.backupName}/`, limit: 1 });
    // Warns of runs whose sidecars cannot be read, which takes no right of its own there.
    if (destination.kind === 'directory')
      await listBackups(store, { name: settings.backupName, footers: false, onEvent });
    const renamed = await hostRenamed({ settings, store });
    if (renamed !== undefined) onEvent({ type: 'log', level: 'warning', message: renamed });
    const mustLock = destination.kind === 'directory' || destination.s3.requireObjectLock;
    if (mustLock && !(objectLock && versioning))
      throw new SysbackupError(
        'STORE_UNSUITABLE',
        `${store.description} does not lock what is stored in it`,
        {
          hint: 'Make a bucket with Object Lock, which cannot always be switched on later.',
        },
      );
    await use(store);
    const source = store.description;
    const lifecycle = async (s3: S3Settings): Promise<SettingsInForce[string][string]> => {
      const { rules, warnings } = await lifecycleOf(s3, session);
      for (const message of warnings) onEvent({ type: 'log', level: 'warning', message });
      return { value: LIFECYCLES[rules], source };
    };
    return {
      ...(directory === undefined ? {} : { directory: { value: standingOf(directory), source } }),
      // A directory that would be made is not there yet.
      reachable: { value: directory?.found !== 'nothing', source },
      object_lock: { value: objectLock, source },
      versioning: { value: versioning, source },
      ...(destination.kind === 's3' ? { lifecycle: await lifecycle(destination.s3) } : {}),
    };
  });
}

/** Which of three a directory is, and what an archive does with it. What it would refuse is an error. */
function standingOf({ found, known, id }: AdmittedDirectory): string {
  if (found === 'nothing') return 'no store yet: archive makes one';
  if (found === 'manifests') return 'a store made by an earlier version: archive gives it a marker';
  return known ? `store ${id}, known` : `store ${id}, not stored to from here yet`;
}

function linesOf(shown: SettingsInForce): string[] {
  const sections = Object.entries(shown).map(([section, own]) => [
    `[${section}]`,
    ...settingLines(Object.entries(own)),
  ]);
  return sections.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]));
}

function settingLines(settings: [string, SettingsInForce[string][string]][]): string[] {
  if (settings.length === 0) return ['  nothing'];
  const columns = [{ title: '' }, { title: '' }, { title: '' }];
  const rows = settings.map(([name, { value, source }]) => [name, shownValue(value), source]);
  return formatTable(columns, rows)
    .slice(1)
    .map((line) => `  ${line}`);
}

function shownValue(value: SettingsInForce[string][string]['value']): string {
  if (value === null) return '(not set)';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'object') return value.length === 0 ? '(none)' : value.join(' ');
  return value === '' ? '(empty)' : String(value);
}
