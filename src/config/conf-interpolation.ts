import { SysbackupError } from '../errors.js';
import { type ConfFile, type ConfSetting, DEFAULT_SECTION, settingName } from './conf-file.js';

/** How deep `%(name)s` may lead to values with `%` of their own. configparser's limit. */
const MAX_DEPTH = 10;

const REFERENCE = /%\(([^)]+)\)s/y;

export interface ConfValue {
  /** After interpolation. */
  value: string;
  line: number;
  /** Whether it stands in `[DEFAULT]` and not in the section itself. */
  inherited: boolean;
}

/**
 * A section's setting, its own or inherited, with each `%(name)s` replaced and `%%` as `%`; undefined where it
 * has none, or where the file has no such section: what `[DEFAULT]` holds goes to sections that are there.
 * Throws `CONFIG` where a `%` means nothing, a name is not known, or names lead in a circle.
 */
export function valueOf(conf: ConfFile, section: string, name: string): ConfValue | undefined {
  const own = conf.sections.get(section)?.settings;
  const setting = own?.get(name) ?? conf.defaults.get(name);
  if (own === undefined || setting === undefined) return undefined;
  const where = `${conf.file}:${setting.line}: [${section}] ${name}`;
  const lookUp = (reference: string): string | undefined =>
    (own.get(reference) ?? conf.defaults.get(reference))?.value;
  return {
    value: interpolate(setting.value, lookUp, where, 1),
    line: setting.line,
    inherited: !own.has(name),
  };
}

function interpolate(
  text: string,
  lookUp: (name: string) => string | undefined,
  where: string,
  depth: number,
): string {
  if (depth > MAX_DEPTH)
    throw new SysbackupError(
      'CONFIG',
      `${where}: its %(name)s lead through more than ${MAX_DEPTH} settings`,
      {
        hint: 'A setting may not name itself, directly or through others; a percent sign itself is written %%.',
      },
    );
  let result = '';
  let position = 0;
  for (;;) {
    const percent = text.indexOf('%', position);
    if (percent === -1) return result + text.slice(position);
    result += text.slice(position, percent);
    if (text[percent + 1] === '%') {
      result += '%';
      position = percent + 2;
      continue;
    }
    REFERENCE.lastIndex = percent;
    const reference = REFERENCE.exec(text)?.[1];
    if (reference === undefined)
      throw new SysbackupError('CONFIG', `${where}: a % is followed by neither % nor (name)s`, {
        hint: 'A percent sign itself is written %%.',
      });
    position = REFERENCE.lastIndex;
    const name = settingName(reference);
    const value = lookUp(name);
    if (value === undefined)
      throw new SysbackupError('CONFIG', `${where}: names %(${name})s, which is not set`, {
        hint: `Set ${name} in the same section or in [${DEFAULT_SECTION}]; a percent sign itself is written %%.`,
      });
    result += value.includes('%') ? interpolate(value, lookUp, where, depth + 1) : value;
  }
}

/** The names in all `%(name)s` of some values: settings that may be there for these alone. */
export function namesReferredTo(settings: Iterable<ConfSetting>): Set<string> {
  const names = new Set<string>();
  for (const { value } of settings)
    for (const [, name] of value.matchAll(/%\(([^)]+)\)s/g))
      if (name !== undefined) names.add(settingName(name));
  return names;
}
