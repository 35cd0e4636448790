import { SysbackupError } from '../errors.js';
import { type ConfFile, DEFAULT_SECTION } from './conf-file.js';
import { valueOf } from './conf-interpolation.js';
import { type KnownNames, shown, type UnknownName, unknownNames } from './unknown-names.js';
import { listed, type ValueKind } from './value-kinds.js';

/** A setting in force and where it comes from. */
export interface SettingInForce {
  /** In the units of {@link Settings}: bytes, seconds, days. Null where nothing is set and nothing assumed. */
  value: string | number | boolean | readonly string[] | null;
  /** `conf:12`, `default`, `environment AWS_PROFILE`. */
  source: string;
}

/** Section → setting → what is in force. */
export type SettingsInForce = Record<string, Record<string, SettingInForce>>;

/**
 * Reads settings one by one, and remembers which were asked for: these are the known ones (what else the
 * conf holds: unknown-names.ts).
 */
export class SettingReader {
  readonly inForce: SettingsInForce = {};
  readonly warnings: string[] = [];
  readonly #conf: ConfFile;

  constructor(conf: ConfFile) {
    this.#conf = conf;
  }

  /** The conf's value, else the default. Throws `CONFIG` where the value is not what `kind` allows. */
  value<T extends NonNullable<SettingInForce['value']>>(
    section: string,
    name: string,
    kind: ValueKind<T>,
    otherwise: NoInfer<T>,
  ): T {
    const value = this.optional(section, name, kind);
    if (value !== undefined) return value;
    this.override(section, name, otherwise, 'default');
    return otherwise;
  }

  /** The conf's value; undefined where it has none. Throws `CONFIG` as {@link value} does. */
  optional<T extends NonNullable<SettingInForce['value']>>(
    section: string,
    name: string,
    kind: ValueKind<T>,
  ): T | undefined {
    const written = valueOf(this.#conf, section, name);
    const value = written === undefined ? undefined : kind.read(written.value);
    if (written !== undefined && value === undefined)
      throw new SysbackupError(
        'CONFIG',
        `${this.#conf.file}:${written.line}: [${section}] ${name} = ${shown(written.value)}: must be ${kind.allowed}`,
        written.value === ''
          ? { hint: `Leave ${name} out, or make it a comment, where nothing is to be set.` }
          : {},
      );
    this.override(section, name, value ?? null, written === undefined ? 'default' : `conf:${written.line}`);
    return value;
  }

  /** Puts down a value that does not come from the conf. */
  override(section: string, name: string, value: SettingInForce['value'], source: string): void {
    this.inForce[section] ??= {};
    this.inForce[section][name] = { value, source };
  }

  /** `<file>:<line>: [section] name` of a setting in the conf, inherited or not; undefined where not set. */
  placeOf(section: string, name: string): string | undefined {
    const settings = this.#conf.sections.get(section)?.settings;
    const line = settings && (settings.get(name) ?? this.#conf.defaults.get(name))?.line;
    return line === undefined ? undefined : `${this.#conf.file}:${line}: [${section}] ${name}`;
  }

  /** `<file>:<line>: [section] name` of the first known setting that stands in the section itself. */
  firstIn(section: string): string | undefined {
    for (const [name, { line }] of this.#conf.sections.get(section)?.settings ?? [])
      if (Object.hasOwn(this.inForce[section] ?? {}, name))
        return `${this.#conf.file}:${line}: [${section}] ${name}`;
    return undefined;
  }

  warn(warning: string): void {
    this.warnings.push(warning);
  }

  /** What the conf holds and nobody asked for. To be called last. */
  unknownNames(): UnknownName[] {
    const known = this.#known();
    this.#warnOfDefaults(known);
    return unknownNames(this.#conf, known);
  }

  #known(): KnownNames {
    return new Map(Object.entries(this.inForce).map(([name, own]) => [name, Object.keys(own)]));
  }

  /** Names in `[DEFAULT]` may serve interpolation only; a known one that reaches no section is a mistake. */
  #warnOfDefaults(known: KnownNames): void {
    for (const [name, { line }] of this.#conf.defaults) {
      const homes = [...known].filter(([, names]) => names.includes(name)).map(([section]) => section);
      if (homes.length > 0 && !homes.some((section) => this.#conf.sections.has(section)))
        this.warn(
          `${this.#conf.file}:${line}: [${DEFAULT_SECTION}] ${name} reaches only sections that stand in the file; ` +
            `write it in ${listed(homes.map((home) => `[${home}]`))}`,
        );
    }
  }
}
