import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf, messageOf, SysbackupError } from '../errors.js';
import { readBackupName } from './backup-name.js';
import { type ConfFile, parseConf } from './conf-file.js';
import { confPath, defaultStatePath } from './conf-path.js';
import { decodeConf } from './conf-text.js';
import { MAX_DAYS, readContentSection } from './content-section.js';
import { exposedCredentials } from './exposed-credentials.js';
import { readS3Sections } from './s3-section.js';
import { SettingReader, type SettingsInForce } from './setting-reader.js';
import type { Settings } from './settings.js';
import type { ConfSurroundings } from './surroundings.js';
import { misspeltError, type UnknownName } from './unknown-names.js';
import { days, NAMES, seconds } from './value-kinds.js';

export interface LoadSettingsOptions extends ConfSurroundings {
  /** Folder with `conf`, `pickers.d` and `snapshots.d`. */
  confDir: string;
  /** Of this machine, for the default backup name. */
  hostname: string;
  /** Before what the conf says. Default `<hostname>-backup`. */
  backupName?: string;
  /**
   * Whether a name that is nearly a known one is refused with CONFIG, as before a run: `days_retaine = 30` would lock
   * for 14 days. Default: it is a warning.
   */
  refuseMisspelt?: boolean;
}

export interface LoadedSettings {
  settings: Settings;
  /** The same by section and setting, with where each comes from. */
  values: SettingsInForce;
  /**
   * Sentences, most with file and line: unknown sections and settings, settings that have no effect, credentials that
   * others may read.
   */
  warnings: string[];
  /** Sentences with file and line: settings of earlier versions. */
  notes: string[];
  /** What in the conf is not read. Each is among the warnings or the notes too. */
  unknownNames: UnknownName[];
  /** Says that others than its owner and group may read the file with the key, where they may. Among the warnings too. */
  exposedCredentials?: string;
}

/**
 * Reads `<confDir>/conf`. Throws `CONFIG`, with file, line, setting and what is allowed, where the file is missing,
 * cannot be read as configparser does, or holds a value that is not allowed.
 */
export async function loadSettings(options: LoadSettingsOptions): Promise<LoadedSettings> {
  const confDir = resolve(options.confDir);
  const file = join(confDir, 'conf');
  const conf = parseConf(decodeConf(await readConf(file), file), file);
  const loaded = settingsFrom(conf, { ...options, confDir });
  const exposed = await exposedCredentials(loaded.settings.destination);
  if (exposed === undefined) return loaded;
  return { ...loaded, exposedCredentials: exposed, warnings: [...loaded.warnings, exposed] };
}

async function readConf(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const errno = errnoOf(cause);
    if (errno === 'ENOENT' || errno === 'ENOTDIR')
      throw new SysbackupError('CONFIG', `there is no conf at ${file}`, {
        hint: 'Make one (the command write-config does), or name its folder with --conf-dir.',
        cause,
      });
    throw new SysbackupError('CONFIG', `cannot read ${file}: ${messageOf(cause)}`, {
      ...(errno === 'EACCES' ? { hint: 'Run as a user who may read it, root as a rule.' } : {}),
      cause,
    });
  }
}

/** As {@link loadSettings}, from a conf that has been read. `confDir` must be absolute. */
export function settingsFrom(conf: ConfFile, options: LoadSettingsOptions): LoadedSettings {
  const reader = new SettingReader(conf);
  const { name, isDefault } = readBackupName(reader, options);
  const settings: Settings = {
    confDir: options.confDir,
    backupName: name,
    ...(isDefault ? { backupNameIsDefault: true } : {}),
    destination: readDestination(reader, options),
    content: readContentSection(reader),
    classes: readClasses(reader),
    programs: {
      timeout: reader.optional('programs', 'timeout', seconds(1, 31_622_400)),
      allowEmpty: reader.value('programs', 'allow_empty', NAMES, []),
    },
    statePath: readStatePath(reader, options),
  };
  const names = reader.unknownNames();
  const misspelt = options.refuseMisspelt === true ? misspeltError(names) : undefined;
  if (misspelt !== undefined) throw misspelt;
  const messages = (former: boolean): string[] =>
    names.flatMap(({ kind, message }) => ((kind === 'former') === former ? [message] : []));
  return {
    settings,
    values: reader.inForce,
    warnings: [...reader.warnings, ...messages(false)],
    notes: messages(true),
    unknownNames: names,
  };
}

function readDestination(reader: SettingReader, options: LoadSettingsOptions): Settings['destination'] {
  const path = reader.optional('directory', 'path', confPath(options));
  const s3 = readS3Sections(reader, options);
  if (path === undefined) return { kind: 's3', s3 };
  const directory = reader.placeOf('directory', 'path');
  const bucket = reader.firstIn('s3');
  if (bucket !== undefined)
    throw new SysbackupError('CONFIG', `${directory} and ${bucket} name two stores, and a run has one`, {
      hint: 'Remove [s3] or [directory]; for two stores, use two confs in two folders.',
    });
  for (const section of ['aws', 'cloudformation']) {
    const ignored = reader.firstIn(section);
    if (ignored !== undefined) reader.warn(`${ignored} has no effect: the store is the directory ${path}`);
  }
  return { kind: 'directory', path };
}

function readClasses(reader: SettingReader): Settings['classes'] {
  const classes: Settings['classes'] = {};
  for (const name of ['weekly', 'monthly', 'yearly'] as const) {
    const kept = reader.optional('retention', name, days(1, MAX_DAYS));
    if (kept !== undefined) classes[name] = kept;
  }
  return classes;
}

function readStatePath(reader: SettingReader, options: LoadSettingsOptions): string {
  const path = reader.optional('state', 'path', confPath(options));
  if (path !== undefined) return path;
  const otherwise = defaultStatePath(options);
  reader.override('state', 'path', otherwise.path, otherwise.source);
  return otherwise.path;
}
