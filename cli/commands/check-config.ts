import { join } from 'node:path';
import type { Command } from 'commander';
import { configured } from '../configured.js';
import { createStoreCommand } from '../create-store-command.js';
import {
  type AdmittedDirectory,
  type EventListener,
  type Settings,
  type SettingsInForce,
  SysbackupError,
  findExecutables,
  gzipLibraryFor,
  storageClassWarnings,
} from '../../src/index.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatTable } from '../presentation/table.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags {
  connect?: true;
}

const AFTER_HELP = `
With --json, all of it as {"<section>": {"<setting>": {"value": …, "source": "conf:12"}}}: the folders pickers.d and
snapshots.d as sections with an executable for each setting, and with --connect the section "store". Of a directory that
says which store it is, and whether archive would take it; where it would not, check-config ends with the same error.

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
  if (command.opts<Flags>().connect === true) shown['store'] = await tryStore(session, settings, onEvent);
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
): Promise<SettingsInForce[string]> {
  const { destination, statePath } = settings;
  const command = createStoreCommand(session, destination, undefined);
  // As an archive would open it.
  const archiving = { statePath, dryRun: true, createStoreCommand: command };
  return await withStore(session, destination, { archiving, onEvent }, async ({ store, directory }) => {
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
    const source = store.description;
    return {
      ...(directory === undefined ? {} : { directory: { value: standingOf(directory), source } }),
      // A directory that would be made is not there yet.
      reachable: { value: directory?.found !== 'nothing', source },
      object_lock: { value: objectLock, source },
      versioning: { value: versioning, source },
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
