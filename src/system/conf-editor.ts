import {
  type ConfFile,
  type ConfSection,
  DEFAULT_SECTION,
  parseConf,
  settingName,
} from '../config/conf-file.js';
import { valueOf } from '../config/conf-interpolation.js';
import { indentOf, strip } from '../config/conf-text.js';
import { SysbackupError } from '../errors.js';

/** No setting of anybody's. */
const PROBE = 's3-sysbackup-probe';
const LINE = /[^\r\n]*(?:\r\n|\r|\n|$)/g;

/**
 * Changes settings in the text of a conf and leaves all else as it is: comments, blank lines, order, the spelling of
 * names and the ends of lines. Throws `CONFIG` where the text is no conf.
 */
export class ConfEditor {
  readonly #file: string;
  #text: string;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#text = text;
    parseConf(text, file);
  }

  get text(): string {
    return this.#text;
  }

  /** Whether the setting stands in that section itself, as written. */
  has(section: string, name: string): boolean {
    return this.#conf().sections.get(section)?.settings.has(settingName(name)) === true;
  }

  /**
   * Gives a setting a value. One that is there already keeps its place and its name's spelling; a new one comes
   * behind a commented-out line of its name (`#bucket =`), else at the end of its section, which is made where it is
   * missing. Throws `USAGE` where a conf cannot say it: it has no several lines, and no white space around a value.
   */
  set(section: string, name: string, value: string): void {
    if (/[\r\n]/.test(value))
      throw new SysbackupError('USAGE', `[${section}] ${name} cannot have a value of several lines`);
    const before = this.#text;
    this.#write(section, name, value);
    const read = valueOf(this.#conf(), section, settingName(name))?.value;
    if (read === value) return;
    this.#text = before;
    throw new SysbackupError(
      'USAGE',
      `[${section}] ${name} cannot be ${JSON.stringify(value)}: it would be read as ${JSON.stringify(read)}`,
    );
  }

  #write(section: string, name: string, value: string): void {
    const written = value.replaceAll('%', '%%');
    const conf = this.#conf();
    const lines = this.#lines();
    const found = conf.sections.get(section);
    if (found === undefined) {
      this.#text = withSection(this.#text, section, `${name} = ${written}`, this.#newline());
      return;
    }
    const setting = found.settings.get(settingName(name));
    if (setting === undefined) {
      const at = insertionPoint(lines, found, this.#endOf(conf, found.line), name);
      this.#splice(at, 0, [`${indentOfNext(lines, at)}${name} = ${written}`]);
      return;
    }
    const start = setting.line - 1;
    const [, before = `${name} =`] = /^([^=:]*[=:])/.exec(lines[start] ?? '') ?? [];
    const extent = this.#extentOf(conf, setting.line);
    // Comments among continuation lines stay.
    const kept = extent.slice(1).filter((index) => !isContinuation(lines[index] ?? ''));
    this.#splice(start, extent.length, [
      `${before} ${written}`,
      ...kept.map((index) => bare(lines[index] ?? '')),
    ]);
  }

  /** Makes comments of the lines of a setting. Nothing, where it is not there. */
  disable(section: string, name: string): void {
    const conf = this.#conf();
    const setting = conf.sections.get(section)?.settings.get(settingName(name));
    if (setting === undefined) return;
    const lines = this.#lines();
    const extent = this.#extentOf(conf, setting.line);
    this.#splice(
      setting.line - 1,
      extent.length,
      extent.map((index) => {
        const line = bare(lines[index] ?? '');
        return index === setting.line - 1 || isContinuation(line) ? `# ${line}` : line;
      }),
    );
  }

  #conf(): ConfFile {
    return parseConf(this.#text, this.#file);
  }

  #lines(): string[] {
    const lines = this.#text.match(LINE) ?? [];
    // The pattern also matches the nothing at the end.
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  }

  /** As the file has it. */
  #newline(): string {
    return /\r\n|\r|\n/.exec(this.#text)?.[0] ?? '\n';
  }

  /** Indices of a setting's own line and of those that continue it, with comments and blank lines among these. */
  #extentOf(conf: ConfFile, line: number): number[] {
    const lines = this.#lines();
    const end = this.#endOf(conf, line, true);
    let last = line - 1;
    for (let index = line; index < end; index++) if (isContinuation(lines[index] ?? '')) last = index;
    return Array.from({ length: last - line + 2 }, (_, nth) => line - 1 + nth);
  }

  /** Index of the line in which the next section begins; `orSetting`: or the next setting. */
  #endOf(conf: ConfFile, line: number, orSetting = false): number {
    const lines = this.#lines();
    const starts = [...conf.sections.values()].flatMap((section) => [
      section.line,
      ...(orSetting ? [...section.settings.values()].map((setting) => setting.line) : []),
    ]);
    if (orSetting) starts.push(...[...conf.defaults.values()].map((setting) => setting.line));
    const header = lines.findIndex((_, index) => index >= line && this.#isDefaultHeader(lines, index));
    const after = starts.filter((start) => start > line).map((start) => start - 1);
    return Math.min(lines.length, ...after, ...(header === -1 ? [] : [header]));
  }

  /** The reader tells no line of it; and the same text may be a line that continues a value. */
  #isDefaultHeader(lines: readonly string[], index: number): boolean {
    if (!strip(lines[index] ?? '').startsWith(`[${DEFAULT_SECTION}]`)) return false;
    const until = `${lines.slice(0, index + 1).join('')}\n${PROBE} = 1\n`;
    return parseConf(until, this.#file).defaults.has(PROBE);
  }

  #splice(start: number, count: number, replacement: readonly string[]): void {
    const lines = this.#lines();
    const newline = this.#newline();
    const last = lines.at(-1);
    if (last !== undefined && bare(last) === last && start + count >= lines.length)
      lines[lines.length - 1] = last + newline;
    lines.splice(start, count, ...replacement.map((line) => line + newline));
    this.#text = lines.join('');
  }
}

/** A new line must not be less indented than what comes next, which would then continue it. */
function indentOfNext(lines: readonly string[], at: number): string {
  const next = lines.slice(at).find(isContinuation) ?? '';
  return next.slice(0, indentOf(next));
}

function bare(line: string): string {
  return line.replace(/[\r\n]+$/, '');
}

/** Whether the line, which begins neither setting nor section, belongs to a value. */
function isContinuation(line: string): boolean {
  const content = strip(bare(line));
  return content !== '' && !/^[#;]/.test(content);
}

/** Behind the first commented-out line of that name, else behind the section's last line that says something. */
function insertionPoint(
  lines: readonly string[],
  { line: header, settings }: ConfSection,
  end: number,
  name: string,
): number {
  const starts = new Set([...settings.values()].map(({ line }) => line - 1));
  let behind = header;
  for (let index = header; index < end; index++) {
    const content = strip(bare(lines[index] ?? ''));
    const commented = /^[#;]\s*([^=:\s]+)\s*[=:]/.exec(content)?.[1];
    const next = lines.findIndex((line, at) => at > index && at < end && isContinuation(line));
    // Not amid the lines of a value.
    const between = next === -1 || starts.has(next);
    if (commented !== undefined && settingName(commented) === settingName(name) && between) return index + 1;
    // What else is a comment may belong to the next section.
    if (content !== '' && (!/^[#;]/.test(content) || (commented !== undefined && between)))
      behind = index + 1;
  }
  let comments = behind;
  while (comments < end && /^[#;]/.test(strip(bare(lines[comments] ?? '')))) comments++;
  // Comments that touch the next header are that one's.
  return comments === end && comments < lines.length ? behind : comments;
}

function withSection(text: string, section: string, line: string, newline: string): string {
  const gap = text === '' ? '' : /(?:\r\n|\r|\n)$/.test(text) ? newline : newline + newline;
  return `${text}${gap}[${section}]${newline}${line}${newline}`;
}
