import { readTemplate } from '../aws/resource-template.js';
import type { TimeWindow } from './time-window.js';

/** What is filled into the templates of units. */
export interface UnitSettings {
  /** Name of the units, without `.service`. */
  unit: string;
  /** Program and arguments that begin every command of ours. */
  program: readonly string[];
  confDir: string;
  user: string;
  /** Below /var/lib and /var/cache. */
  state: string;
  /** Folders that it may write to besides. */
  readWrite: readonly string[];
  window: TimeWindow;
}

/** The service and the timer of the daily backup. */
export async function archiveUnits(settings: UnitSettings): Promise<Map<string, string>> {
  return await units('systemd/archive.service', settings, {
    DESCRIPTION: 'Back up this system with s3-sysbackup',
  });
}

/** Those of another daily command of ours, which needs to read no files. */
export async function upkeepUnits(
  settings: UnitSettings,
  description: string,
  command: readonly string[],
): Promise<Map<string, string>> {
  return await units('systemd/upkeep.service', settings, {
    DESCRIPTION: description,
    COMMAND: execWords(command),
  });
}

async function units(
  service: string,
  settings: UnitSettings,
  more: Readonly<Record<string, string>>,
): Promise<Map<string, string>> {
  const { unit, program, confDir, user, state, readWrite, window } = settings;
  const values: Record<string, string> = {
    UNIT: unit,
    EXEC: execWords(program),
    CONF_DIR: execWords([confDir]),
    USER: user,
    STATE: state,
    READ_WRITE: readWrite.map((path) => `ReadWritePaths=${pathWord(path)}\n`).join(''),
    START: window.start,
    LENGTH: window.length,
    ...more,
  };
  const fill = async (template: string): Promise<string> =>
    (await readTemplate(template)).replaceAll(/@([A-Z_]+)@/g, (all, name: string) => values[name] ?? all);
  return new Map([
    [`${unit}.service`, await fill(service)],
    [`${unit}.timer`, await fill('systemd/daily.timer')],
  ]);
}

/** As systemd.service(5) reads the words of ExecStart. */
function execWords(words: readonly string[]): string {
  return words
    .map((word) => {
      const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
      return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`;
    })
    .join(' ');
}

/** As systemd.exec(5) reads a list of paths. */
function pathWord(path: string): string {
  const escaped = path.replaceAll('%', '%%');
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, '\\$&')}"`;
}
