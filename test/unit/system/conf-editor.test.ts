import { describe, expect, it } from 'vitest';
import { type ConfFile, parseConf } from '#src/config/conf-file.js';
import { decodeConf } from '#src/config/conf-text.js';
import { valueOf } from '#src/config/conf-interpolation.js';
import { ConfEditor } from '#src/system/conf-editor.js';
import { generatedConfs } from '../config/generated-conf.js';

function edited(text: string, edit: (editor: ConfEditor) => void): string {
  const editor = new ConfEditor(text, 'conf');
  edit(editor);
  return editor.text;
}

/** Every setting of a conf but one, with its value. */
function others(conf: ConfFile, section: string, name: string): [string, string, string][] {
  const sections = [...conf.sections].map(([title, { settings }]) => [title, settings] as const);
  return [...sections, ['DEFAULT', conf.defaults] as const].flatMap(([title, settings]) =>
    [...settings]
      .filter(([setting]) => title !== section || setting !== name)
      .map(([setting, { value }]): [string, string, string] => [title, setting, value]),
  );
}

function comments(text: string): string[] {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter((line) => /^[#;]/.test(line));
}

describe('a conf that is edited', () => {
  it('keeps comments, blank lines, order and the spelling of names', () => {
    const text = '# mine\n[s3]\n; which\nBucket: old\n\n# far\nregion = eu\n\n[content]\nshare=no\n';
    expect(edited(text, (editor) => editor.set('s3', 'bucket', 'new'))).toBe(
      text.replace('Bucket: old', 'Bucket: new'),
    );
  });

  it('has a new setting where it was commented out, or at the end of its section', () => {
    const text = '[s3]\n#region =\n#bucket =\n\n# about the next\n[content]\nshare = no';
    expect(edited(text, (editor) => editor.set('s3', 'region', 'eu'))).toBe(
      text.replace('#region =\n', '#region =\nregion = eu\n'),
    );
    expect(edited(text, (editor) => editor.set('s3', 'prefix', 'a'))).toBe(
      text.replace('#bucket =\n', '#bucket =\nprefix = a\n'),
    );
    expect(edited(text, (editor) => editor.set('content', 'days_retained', '3'))).toBe(
      `${text}\ndays_retained = 3\n`,
    );
  });

  it('has a new section at its end, with the line ends of the file', () => {
    expect(edited('[s3]\r\nbucket = a\r\n', (editor) => editor.set('content', 'share', 'no'))).toBe(
      '[s3]\r\nbucket = a\r\n\r\n[content]\r\nshare = no\r\n',
    );
    expect(edited('', (editor) => editor.set('s3', 'bucket', 'a'))).toBe('[s3]\nbucket = a\n');
  });

  it('loses the lines that continued an old value, and no comment among them', () => {
    const text = '[programs]\nallow_empty = a\n  # why\n  b\n\n  c\n# after\ntimeout = 5\n';
    expect(edited(text, (editor) => editor.set('programs', 'allow_empty', 'd'))).toBe(
      '[programs]\nallow_empty = d\n  # why\n\n# after\ntimeout = 5\n',
    );
  });

  it('has what is disabled as comments', () => {
    const text = '[directory]\npath = /srv\n  /backup\n[s3]\n';
    expect(edited(text, (editor) => editor.disable('directory', 'path'))).toBe(
      '[directory]\n# path = /srv\n#   /backup\n[s3]\n',
    );
    expect(edited(text, (editor) => editor.disable('s3', 'bucket'))).toBe(text);
  });

  it('takes no value that would be read as another one', () => {
    const text = '[directory]\npath = /srv\n';
    for (const value of [' /srv', '/srv ', '/srv\u00a0', '/srv\t', '\u2028/srv', '/a\nb']) {
      const editor = new ConfEditor(text, 'conf');
      expect(() => editor.set('directory', 'path', value)).toThrow(/\[directory\] path cannot/);
      expect(editor.text).toBe(text);
    }
    for (const value of ['/a b', '/100%', '/%(path)s', '#', '= :', '/a\u00a0b', '[s3]'])
      expect(
        valueOf(
          parseConf(
            edited(text, (editor) => editor.set('directory', 'path', value)),
            'conf',
          ),
          'directory',
          'path',
        )?.value,
      ).toBe(value);
  });

  it('is refused where it is no conf', () => {
    expect(() => new ConfEditor('bucket = a\n', '/etc/backup/conf')).toThrow('/etc/backup/conf:1');
  });

  it('means the same but for what was set, whatever it looks like', () => {
    let tried = 0;
    for (const bytes of generatedConfs(1500, 20_261_120)) {
      let text: string;
      let before: ConfFile;
      try {
        text = decodeConf(bytes, 'conf');
        before = parseConf(text, 'conf');
      } catch {
        continue;
      }
      for (const [section, name] of [
        ['s3', 'bucket'],
        ['aws', 'a'],
        ['new', 'c'],
      ] as const) {
        tried++;
        const after = edited(text, (editor) => editor.set(section, name, '50 % of x=y'));
        const conf = parseConf(after, 'conf');
        expect(valueOf(conf, section, name)?.value, JSON.stringify([text, after])).toBe('50 % of x=y');
        expect(others(conf, section, name)).toEqual(others(before, section, name));
        expect(comments(after)).toEqual(comments(text));
        const gone = parseConf(
          edited(text, (editor) => editor.disable(section, name)),
          'conf',
        );
        expect(gone.sections.get(section)?.settings.has(name) ?? false).toBe(false);
        expect(others(gone, section, name)).toEqual(others(before, section, name));
      }
    }
    expect(tried).toBeGreaterThan(500);
  });
});
