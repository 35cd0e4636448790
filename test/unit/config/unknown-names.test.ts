import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConf } from '#src/config/conf-file.js';
import { type LoadedSettings, type LoadSettingsOptions, settingsFrom } from '#src/config/load.js';
import { nearMiss } from '#src/config/nearest-name.js';
import { type UnknownName, unknownNames } from '#src/config/unknown-names.js';
import { SysbackupError } from '#src/errors.js';

const FIXTURES = join(import.meta.dirname, '../../fixtures/confs');

function load(text: string, options: Partial<LoadSettingsOptions> = {}): LoadedSettings {
  const around = { confDir: '/etc/backup', env: {}, user: { uid: 0, home: '/root' }, hostname: 'web1' };
  return settingsFrom(parseConf(text, 'conf'), { ...around, ...options });
}

function kinds(text: string): [UnknownName['kind'], string, string | undefined][] {
  return load(text).unknownNames.map(({ kind, place, nearest }) => [kind, place, nearest]);
}

describe('a name that nothing reads', () => {
  it.each([
    ['[content]\ndays_retaine = 30', '[content] days_retaine', 'days_retained'],
    ['[content]\nday_retaind = 30', '[content] day_retaind', 'days_retained'],
    ['[content]\nmdoe = COMPLIANCE', '[content] mdoe', 'mode'],
    ['[s3]\nbuckt = b', '[s3] buckt', 'bucket'],
    ['[retention]\nweekley = 8w', '[retention] weekley', 'weekly'],
    ['[backup]\nnmae = web1', '[backup] nmae', 'name'],
  ])('is misspelt where it is nearly one of its section: %j', (text, place, nearest) => {
    expect(kinds(text)).toEqual([['misspelt', `conf:2: ${place}`, nearest]]);
  });

  it.each([
    ['contents', '[content]'],
    ['Content', '[content]'],
    ['s4', '[s3]'],
    ['asw', '[aws]'],
    ['directry', '[directory]'],
    ['DEFAULTS', '[DEFAULT]'],
    ['default', '[DEFAULT]'],
  ])('is misspelt where it is nearly a section: [%s]', (name, nearest) => {
    expect(kinds(`[${name}]\na = 1`)).toEqual([['misspelt', `conf:1: [${name}]`, nearest]]);
  });

  it.each([
    ['of three edits', '[content]\ndays_retentin = 30', 'conf:2: [content] days_retentin'],
    ['of two edits and four letters', '[retention]\nweek = 8w', 'conf:2: [retention] week'],
    ['of another section', '[s3]\ndays_retained = 30', 'conf:2: [s3] days_retained'],
    ['of another program', '[monitoring]\nurl = https://example.net', 'conf:1: [monitoring]'],
    ['of two edits and four letters, as a section', '[s3-b]', 'conf:1: [s3-b]'],
  ])('is unknown otherwise: one %s', (_, text, place) => {
    expect(kinds(text)).toEqual([['unknown', place, undefined]]);
  });

  it('is shown where it belongs, if another section has one of that name', () => {
    expect(load('[s3]\ndays_retained = 30').warnings).toEqual([
      expect.stringMatching(/^conf:2: \[s3\] days_retained = 30 is ignored: .* belongs in \[content\]$/),
    ]);
  });

  it.each([
    ['in [DEFAULT]', '[DEFAULT]\nbuckte = 1\nsite = north\n[s3]\nprefix = %(site)s'],
    ['that another setting refers to', '[s3]\nbuckte = b\nbucket = my-%(buckte)s'],
    ['that one in [DEFAULT] refers to', '[DEFAULT]\nprefix = %(prefx)s\n[s3]\nprefx = web1'],
    ["in a section of the user's own", '[x-notes]\ndays_retaine = 30\n[x-s3]\n[X-Team]\nowner = me'],
  ])('is left alone %s', (_, text) => {
    const { unknownNames: names, warnings, notes } = load(text, { refuseMisspelt: true });
    expect({ names, warnings, notes }).toEqual({ names: [], warnings: [], notes: [] });
  });

  it('is a note where it was known before, also beside a name that it is near to', () => {
    const conf = parseConf('[content]\nmode_ = x\nmdoe = y\n[gone]\nold = 1\nnever = 2', 'conf');
    const known = new Map([['content', ['mode']]]);
    const former = { content: { mode_: 'merged into mode' }, gone: { old: 'not needed any more' } };
    expect(unknownNames(conf, known, former)).toEqual([
      { kind: 'former', place: 'conf:2: [content] mode_', message: expect.stringContaining('merged into') },
      expect.objectContaining({ kind: 'misspelt', place: 'conf:3: [content] mdoe', nearest: 'mode' }),
      expect.objectContaining({ kind: 'former', place: 'conf:5: [gone] old' }),
      expect.objectContaining({ kind: 'unknown', place: 'conf:6: [gone] never' }),
    ]);
  });
});

describe('refuseMisspelt', () => {
  const refusal = (text: string): unknown => {
    try {
      return load(text, { refuseMisspelt: true });
    } catch (error) {
      return error;
    }
  };

  it('throws CONFIG that names each place and what was meant', () => {
    const error = refusal('[content]\ndays_retaine = 30\n[s3]\nfrob = 1\nbuckt = b') as SysbackupError;
    expect(error).toBeInstanceOf(SysbackupError);
    expect([error.code, error.exitCode]).toEqual(['CONFIG', 2]);
    expect(error.message).toContain('conf:2: [content] days_retaine is not known, and nearly days_retained');
    expect(error.message).toContain('conf:5: [s3] buckt is not known, and nearly bucket');
    expect(error.message).not.toContain('frob');
    expect(error.hint).toContain('[x-…]');
  });

  it.each(['by-write-config.conf', 'of-the-python-program.conf'])('takes the conf %s as it is', (name) => {
    const text = readFileSync(join(FIXTURES, name), 'utf8');
    const { unknownNames: names, warnings } = load(text, { refuseMisspelt: true });
    expect({ names, warnings }).toEqual({ names: [], warnings: [] });
  });
});

describe('nearMiss', () => {
  it('takes two slips in a longer name and one in a short one, whatever the letters', () => {
    const long = 'storage_class';
    const letter = fc.constantFrom(...'qjxz0');
    const place = fc.nat({ max: long.length - 1 });
    fc.assert(
      fc.property(place, letter, place, letter, (at, one, then, other) => {
        const slip = (text: string, position: number, put: string): string =>
          text.slice(0, position) + put + text.slice(position + 1);
        expect(nearMiss(slip(slip(long, at, one), then, other), ['share', long])).toBe(long);
        expect(nearMiss(`${slip(long, at, one)}qqqq`, ['share', long])).toBeUndefined();
      }),
    );
    expect(nearMiss('mod', ['mode'])).toBe('mode');
    expect(nearMiss('md', ['mode'])).toBeUndefined();
  });
});
