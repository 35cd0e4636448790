import { join } from 'node:path';
import type { Command } from 'commander';
import { configured } from '../configured.js';
import {
  type EventListener,
  type ObjectStore,
  type Settings,
  type SettingsInForce,
  SysbackupError,
  findExecutables,
  gzipLibraryFor,
  storageClassWarnings,
} from '../../src/index.js';
import { bundleBelowSetting } from '../presentation/bundle-below.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatTable } from '../presentation/table.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags {
  connect?: true;
}

const AFTER_HELP = `
With --json, all of it as {"<section>": {"<setting>": {"value": …, "source": "conf:12"}}}: the folders pickers.d and
snapshots.d as sections with an executable for each setting, and with --connect the section "store".

Where bundle_below is not set, it is shown as the next run takes it, and why: what the catalog records; without a catalog
1 MiB, or 0 where the store has runs of this backup name and no bundles (--connect asks it).

Examples:
  s3-sysbackup check-config
  s3-sysbackup check-config --conf-dir examples/quickstart --connect
`;

const SOURCES = ['pickers.d', 'snapshots.d'];
const RUNS = 'runs';

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
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const onEvent = eventLogger(session.log);
  const { settings, values } = await configured(session, onEvent);
  for (const message of await storageClassWarnings(settings))
    onEvent({ type: 'log', level: 'warning', message });
  const shown: SettingsInForce = { ...values, content: await withGzipLibrary(settings, values['content']) };
  for (const folder of SOURCES) {
    shown[folder] = await executablesIn(join(settings.confDir, folder), session.user.uid);
  }
  if (!SOURCES.some((folder) => Object.values(shown[folder] ?? {}).some(({ value }) => value === RUNS)))
    session.log.write('warning', 'nothing says what to back up: no executable in pickers.d or snapshots.d');
  const bundleBelow = async (store?: ObjectStore): Promise<void> => {
    const set = values['content']?.['bundle_below'];
    shown['content'] = { ...shown['content'], bundle_below: await bundleBelowSetting(settings, set, store) };
  };
  await bundleBelow();
  if (command.opts<Flags>().connect === true)
    shown['store'] = await tryStore(session, settings, onEvent, bundleBelow);
  if (session.globals.json === true) session.output.json(shown);
  else for (const line of linesOf(shown)) session.output.line(line);
  return 0;
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
    ...executables.map(({ name }) => ({ name, value: RUNS })),
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
  const { destination } = settings;
  // As an archive would open it.
  return await withStore(session, destination, { create: true, onEvent }, async ({ store }) => {
    const { objectLock, versioning } = await store.capabilities();
    // A listing needs rights of its own, and every run begins with this one. They may be for no other prefix.
    await store.list({ prefix: `manifests/${settings.backupName}/`, limit: 1 });
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
    return {
      reachable: { value: true, source },
      object_lock: { value: objectLock, source },
      versioning: { value: versioning, source },
    };
  });
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
