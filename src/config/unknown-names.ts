import { SysbackupError } from '../errors.js';
import { type ConfFile, type ConfSection, DEFAULT_SECTION, excerpt } from './conf-file.js';
import { namesReferredTo } from './conf-interpolation.js';
import { FORMER_NAMES, type FormerNames } from './former-names.js';
import { nearestName, nearMiss } from './nearest-name.js';
import { listed } from './value-kinds.js';

/** A section or setting in the conf that nothing reads. */
export interface UnknownName {
  /**
   * `misspelt`: a slip away from a name that is read, so that one was meant; `former`: of an earlier version or of the
   * Python program; `unknown`: any other.
   */
  kind: 'misspelt' | 'former' | 'unknown';
  /** `<file>:<line>: [section] name`, or without the name where it is the section. */
  place: string;
  /** The known name that is meant, if it is `misspelt`. */
  nearest?: string;
  /** A sentence with file and line. */
  message: string;
}

/** Section → names of the settings in it that are read. */
export type KnownNames = ReadonlyMap<string, readonly string[]>;

/** Sections whose names begin so are the user's own. */
const OWN_SECTION = /^x-/i;

/**
 * What stands in the conf and is not read. Left alone are sections of the user's own, `[DEFAULT]`, and settings that
 * others refer to by `%(name)s`.
 */
export function unknownNames(
  conf: ConfFile,
  known: KnownNames,
  former: FormerNames = FORMER_NAMES,
): UnknownName[] {
  const found: UnknownName[] = [];
  for (const [name, section] of conf.sections) {
    if (OWN_SECTION.test(name)) continue;
    const names = known.get(name);
    const old = Object.hasOwn(former, name) ? former[name] : undefined;
    if (names === undefined && old === undefined) found.push(unknownSection(conf, name, section, known));
    else found.push(...unknownSettings(conf, name, section, { known, names: names ?? [], old: old ?? {} }));
  }
  return found;
}

/** The error for names that are nearly known ones; undefined where there are none. */
export function misspeltError(names: readonly UnknownName[]): SysbackupError | undefined {
  const misspelt = names.filter(({ kind }) => kind === 'misspelt');
  if (misspelt.length === 0) return undefined;
  const each = misspelt.map(({ place, nearest }) => `${place} is not known, and nearly ${nearest}`);
  return new SysbackupError('CONFIG', each.join('; '), {
    hint: 'Correct the name, or take it out; what is not for this program can stand in a section [x-…].',
  });
}

function unknownSection(
  { file }: ConfFile,
  name: string,
  { line, settings }: ConfSection,
  known: KnownNames,
): UnknownName {
  const place = `${file}:${line}: [${shown(name)}]`;
  const sections = [...known.keys()];
  const ignored = [...settings.keys()];
  const what = ignored.length === 0 ? '' : `, and ${ignored.map(shown).join(', ')} in it ${verb(ignored)}`;
  const bracketed = (section: string): string => `[${section}]`;
  const message = `${place} is not a known section${what}; ${suggestion(name, sections, bracketed)}`;
  const nearest = nearMiss(name, [...sections, DEFAULT_SECTION]);
  if (nearest === undefined) return { kind: 'unknown', place, message };
  return { kind: 'misspelt', place, message, nearest: bracketed(nearest) };
}

function verb(names: readonly string[]): string {
  return `${names.length === 1 ? 'is' : 'are'} ignored`;
}

interface SectionNames {
  known: KnownNames;
  names: readonly string[];
  old: Readonly<Record<string, string>>;
}

function unknownSettings(
  { file, defaults }: ConfFile,
  section: string,
  { settings }: ConfSection,
  { known, names, old }: SectionNames,
): UnknownName[] {
  const referred = namesReferredTo([...settings.values(), ...defaults.values()]);
  const found: UnknownName[] = [];
  for (const [name, { line, value }] of settings) {
    if (names.includes(name) || referred.has(name)) continue;
    const place = `${file}:${line}: [${section}] ${shown(name)}`;
    const before = Object.hasOwn(old, name) ? old[name] : undefined;
    if (before !== undefined) {
      found.push({ kind: 'former', place, message: `${place} is not read: ${before}` });
      continue;
    }
    const homes = [...known].filter(([, others]) => others.includes(name)).map(([home]) => `[${home}]`);
    const advice =
      homes.length > 0
        ? `a setting of that name belongs in ${listed(homes)}`
        : suggestion(name, names, (other) => other);
    const message = `${place} = ${shown(value)} is ignored: not a known setting; ${advice}`;
    const nearest = nearMiss(name, names);
    if (nearest === undefined) found.push({ kind: 'unknown', place, message });
    else found.push({ kind: 'misspelt', place, message, nearest });
  }
  return found;
}

function suggestion(name: string, known: readonly string[], show: (name: string) => string): string {
  const nearest = nearestName(name, known);
  const start = nearest === undefined ? '' : `did you mean ${show(nearest)}? `;
  return `${start}Known: ${known.map(show).join(', ')}`;
}

/** As written where it is short and plain, else as {@link excerpt}. */
export function shown(text: string): string {
  return /^[\p{L}\p{N}\p{P}\p{S} ]{1,60}$/u.test(text) ? text : excerpt(text);
}
