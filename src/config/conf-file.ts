import { SysbackupError } from '../errors.js';
import { indentOf, linesOf, strip, stripEnd } from './conf-text.js';

/**
 * A reader of the conf's format: what Python's `configparser.ConfigParser()` reads with its defaults
 * (https://docs.python.org/3/library/configparser.html#supported-ini-file-structure), with line numbers.
 * Values are as written, before interpolation; see conf-interpolation.ts.
 */
export interface ConfFile {
  /** How to call it in messages. */
  file: string;
  /** By name, as written: names of sections have case. `[DEFAULT]` is not among them. */
  sections: ReadonlyMap<string, ConfSection>;
  /** The settings of `[DEFAULT]`, which every section in the file inherits. */
  defaults: ReadonlyMap<string, ConfSetting>;
}

export interface ConfSection {
  /** Line of its header, from 1. */
  line: number;
  /** By name in lower case. Without what is inherited. */
  settings: ReadonlyMap<string, ConfSetting>;
}

export interface ConfSetting {
  /** Lines joined by `\n`, each without white space around it. */
  value: string;
  /** Line that it begins in, from 1. */
  line: number;
}

export const DEFAULT_SECTION = 'DEFAULT';

interface OpenSetting {
  line: number;
  lines: string[];
}

interface OpenSection {
  name: string;
  line: number;
  settings: Map<string, OpenSetting>;
}

/** Reads a conf. Throws `CONFIG`, with file and line, for all that configparser refuses in a file. */
export function parseConf(text: string, file: string): ConfFile {
  const parser = new ConfParser(file);
  linesOf(text).forEach((line, index) => {
    parser.line(line, index + 1);
  });
  return parser.end();
}

/** What names of settings are compared by. */
export function settingName(written: string): string {
  return written.toLowerCase();
}

class ConfParser {
  readonly #file: string;
  readonly #sections = new Map<string, OpenSection>();
  readonly #defaults: OpenSection = { name: DEFAULT_SECTION, line: 0, settings: new Map() };
  #section: OpenSection | undefined;
  #setting: OpenSetting | undefined;
  /** Indentation of the last header or setting: a line further in continues the setting. */
  #indent = 0;

  constructor(file: string) {
    this.#file = file;
  }

  line(raw: string, number: number): void {
    const content = strip(raw);
    if (content.startsWith('#') || content.startsWith(';')) return;
    if (content === '') {
      this.#setting?.lines.push('');
      return;
    }
    const indent = indentOf(raw);
    if (this.#setting !== undefined && indent > this.#indent) {
      this.#setting.lines.push(content);
      return;
    }
    this.#indent = indent;
    const header = sectionIn(content);
    if (header !== undefined) this.#openSection(header, number);
    else this.#openSetting(content, number);
  }

  end(): ConfFile {
    const sections = new Map<string, ConfSection>();
    for (const [name, section] of this.#sections)
      sections.set(name, { line: section.line, settings: closed(section) });
    return { file: this.#file, sections, defaults: closed(this.#defaults) };
  }

  #openSection(name: string, line: number): void {
    this.#setting = undefined;
    if (name === DEFAULT_SECTION) {
      this.#section = this.#defaults;
      return;
    }
    const earlier = this.#sections.get(name);
    if (earlier !== undefined)
      throw this.#refusal(
        line,
        `[${name}] stands a second time`,
        `Move its settings to the [${name}] of line ${earlier.line}.`,
      );
    this.#section = { name, line, settings: new Map() };
    this.#sections.set(name, this.#section);
  }

  #openSetting(content: string, line: number): void {
    if (this.#section === undefined)
      throw this.#refusal(
        line,
        `${excerpt(content)} stands before any section header`,
        'Put a line like [content] before the first setting.',
      );
    const delimiter = content.search(/[=:]/);
    const name = settingName(stripEnd(content.slice(0, Math.max(delimiter, 0))));
    if (name === '')
      throw this.#refusal(
        line,
        `${excerpt(content)} is neither a [section], nor a setting like "name = value", nor a comment`,
        'A comment begins with # or ;, and a line that continues a value is indented further than its setting.',
      );
    const earlier = this.#section.settings.get(name);
    if (earlier !== undefined)
      throw this.#refusal(
        line,
        `[${this.#section.name}] ${name} stands a second time`,
        `Remove it here or in line ${earlier.line}.`,
      );
    this.#setting = { line, lines: [strip(content.slice(delimiter + 1))] };
    this.#section.settings.set(name, this.#setting);
  }

  #refusal(line: number, what: string, hint: string): SysbackupError {
    return new SysbackupError('CONFIG', `${this.#file}:${line}: ${what}`, { hint });
  }
}

/** The name between `[` and the line's last `]`; what stands behind that is ignored, as configparser does. */
function sectionIn(content: string): string | undefined {
  if (!content.startsWith('[')) return undefined;
  const end = content.lastIndexOf(']');
  return end > 1 ? content.slice(1, end) : undefined;
}

function closed(section: OpenSection): Map<string, ConfSetting> {
  const settings = new Map<string, ConfSetting>();
  for (const [name, { line, lines }] of section.settings)
    settings.set(name, { line, value: stripEnd(lines.join('\n')) });
  return settings;
}

/** A piece of the conf for a message: in quotes, on one line, not too long. */
export function excerpt(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 59)}…` : text);
}
