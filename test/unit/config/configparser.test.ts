import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseConf } from '#src/config/conf-file.js';
import { valueOf } from '#src/config/conf-interpolation.js';
import { decodeConf } from '#src/config/conf-text.js';
import { SysbackupError } from '#src/errors.js';
import { generatedConfs } from './generated-conf.js';

type Pairs<T> = [string, T][];
type Reading = { sections: Pairs<Pairs<string | null>> } | { refused: string; line: number | null };

const SCRIPT = fileURLToPath(new URL('read-with-configparser.py', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import configparser']).status === 0;
if (!hasPython && !process.env['CI'])
  process.stderr.write(
    '\n*** SKIPPED: no python3 here, so the conf reader is not compared with configparser ***\n\n',
  );

function readByPython(files: readonly Buffer[]): Reading[] {
  const input = JSON.stringify(files.map((file) => file.toString('base64')));
  const python = spawnSync('python3', [SCRIPT], { input, maxBuffer: 1 << 28, encoding: 'utf8' });
  if (python.status !== 0) throw new Error(`python3 failed: ${python.error?.message ?? python.stderr}`);
  return JSON.parse(python.stdout);
}

function lineIn(error: unknown): number {
  if (!(error instanceof SysbackupError) || error.code !== 'CONFIG') throw error;
  return Number(/^conf:(\d+): /.exec(error.message)?.[1]);
}

function readHere(file: Buffer): Reading {
  try {
    const conf = parseConf(decodeConf(file, 'conf'), 'conf');
    const sections: Pairs<Pairs<string | null>> = [];
    for (const [section, { settings }] of conf.sections) {
      const values: Pairs<string | null> = [];
      for (const name of new Set([...settings.keys(), ...conf.defaults.keys()])) {
        try {
          values.push([name, valueOf(conf, section, name)?.value ?? 'not set']);
        } catch (error) {
          if (!(lineIn(error) > 0)) throw error;
          values.push([name, null]);
        }
      }
      sections.push([section, values]);
    }
    return { sections };
  } catch (error) {
    return { refused: 'here', line: lineIn(error) };
  }
}

/** Order of settings is no part of the meaning; which kind of refusal only Python has a name for. */
function comparable(reading: Reading, line: number | null): unknown {
  if ('refused' in reading) return { refused: true, line };
  const byName = (a: [string, unknown], b: [string, unknown]): number => (a[0] < b[0] ? -1 : 1);
  return reading.sections.map(([section, values]) => [section, [...values].sort(byName)]).sort();
}

function differences(files: readonly Buffer[]): string[] {
  const python = readByPython(files);
  return files.flatMap((file, index) => {
    const theirs = python[index] as Reading;
    const ours = readHere(file);
    const line = 'line' in theirs ? theirs.line : null;
    const ourLine = line === null || !('line' in ours) ? null : ours.line;
    const expected = JSON.stringify(comparable(theirs, line));
    const got = JSON.stringify(comparable(ours, ourLine));
    return expected === got
      ? []
      : [`${JSON.stringify(file.toString())}\n  python ${JSON.stringify(theirs)}\n  here ${got}`];
  });
}

describe.skipIf(!hasPython && !process.env['CI'])(
  'the conf reader against Python configparser (needs python3)',
  () => {
    const files = generatedConfs(4000, 20_261_120);

    it('finds the same values or refuses at the same line in 4,000 generated files', () => {
      expect(differences(files).slice(0, 3)).toEqual([]);
    });

    it('is compared on files of every kind', () => {
      const kinds = new Map<string, number>();
      let interpolated = 0;
      for (const reading of readByPython(files)) {
        const kind = 'refused' in reading ? reading.refused : 'read';
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        if ('sections' in reading && JSON.stringify(reading.sections).includes(',null]')) interpolated++;
      }
      expect(kinds.get('read')).toBeGreaterThan(2000);
      for (const kind of [
        'MissingSectionHeaderError',
        'DuplicateSectionError',
        'DuplicateOptionError',
        'ParsingError',
        'UnicodeDecodeError',
      ])
        expect(kinds.get(kind) ?? 0, kind).toBeGreaterThan(10);
      expect(interpolated).toBeGreaterThan(100);
    });

    it.each([
      ['interpolation ten levels deep', chain(9)],
      ['interpolation eleven levels deep', chain(10)],
      ['interpolation in a circle', '[s]\na = %(b)s\nb = %(a)s\n'],
      ['a reference over two lines', '[s]\na\n b = 1\nx = %(a\n b)s\n'],
      ['settings before and after a second [DEFAULT]', '[DEFAULT]\na=1\n[s]\nb=%(a)s\n[DEFAULT]\nc=%(b)s\n'],
      ['a setting twice over two [DEFAULT]', '[DEFAULT]\na=1\n[DEFAULT]\nA=2\n'],
      ['empty lines inside and behind a value', '[s]\na = 1\n\n  2\n \n\t3  \n\n\n[t]\n'],
      ['an indented setting below a blank one', '[s]\na =\n b = 1\nc = 2\n'],
      ['a header further in than the setting', '[s]\na = 1\n  [t]\n'],
      ['text behind a header', '[s] # no comment\na = 1\n[t]x]y\nb = 2\n'],
      ['a setting without a name', '[s]\n= 1\n 2\n'],
      ['a word alone', '[s]\nalone\na = 1\n'],
      ['an empty header', '[]\na = 1\n'],
      ['an empty header within a section', '[s]\n[] = 1\n'],
      ['nothing', ''],
    ])('%s', (_, text) => {
      expect(differences([Buffer.from(text)])).toEqual([]);
    });
  },
);

/** `v0` leads through `length` others. */
function chain(length: number): string {
  const lines = Array.from({ length }, (_, nth) => `v${nth} = %(v${nth + 1})s`);
  return `[s]\n${lines.join('\n')}\nv${length} = 100%%\n`;
}
