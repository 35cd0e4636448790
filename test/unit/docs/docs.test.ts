import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '#cli/commands/registry.js';
import { parseConf } from '#src/config/conf-file.js';
import { settingsFrom } from '#src/config/load.js';
import { run } from '../cli/command.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const DOCS = join(ROOT, 'docs');
const documents = readdirSync(DOCS).filter((name) => name.endsWith('.md'));
const read = (path: string): string => readFileSync(path, 'utf8');

/** What a heading's anchor is called, as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

function anchorsOf(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

describe.each(documents)('docs/%s', (name) => {
  const path = join(DOCS, name);
  const text = read(path);
  const prose = text.replaceAll(/^```[^]*?^```$/gm, '');

  it('links to files and headings that are there', () => {
    for (const [, target = ''] of prose.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : join(dirname(path), file);
      expect(existsSync(linked), target).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(linked), target).toContain(anchor);
    }
  });

  it('has JSON that is JSON', () => {
    for (const [, json = ''] of text.matchAll(/^```json.*\n([^]*?)^```$/gm))
      expect(() => JSON.parse(json) as unknown).not.toThrow();
  });
});

describe('README.md', () => {
  const text = read(join(ROOT, 'README.md'));

  it('links every document', () => {
    for (const name of documents) expect(text, name).toContain(`](docs/${name})`);
  });

  it('is one page, whose first section makes a backup, before libdeflate is spoken of', () => {
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(200);
    const [, first = ''] = text.split(/^## /m);
    expect(first).toMatch(/^npm ci && npm run quickstart$/m);
    expect(read(join(ROOT, 'package.json'))).toMatch(/"quickstart": .* archive /);
    expect(text.indexOf('libdeflate')).toBeGreaterThan(text.indexOf(first) + first.length);
  });
});

describe('the flags of chattr', () => {
  it.each([
    ['README.md', '## What is kept, and what is not'],
    ['README.md', '## What it does not do yet'],
    ['docs/format.md', '### Entries'],
  ])('are named in %s, under "%s", as not kept', (name, heading) => {
    const [, section = ''] = read(join(ROOT, name)).split(`\n${heading}\n`);
    const [text = ''] = section.split(/^##/m);
    for (const word of ['`chattr`', '`+i`', '`+a`', '`+d`']) expect(text).toContain(word);
  });
});

describe('docs/configuration.md', () => {
  it('names every setting, in its section', () => {
    const { values } = settingsFrom(parseConf('', 'conf'), {
      confDir: '/etc/backup',
      env: {},
      user: { uid: 0, home: '/root' },
      hostname: 'web1',
    });
    const table = read(join(DOCS, 'configuration.md')).split('\n## Settings\n')[1] ?? '';
    const sections = new Map(
      [...table.matchAll(/^\| \*\*`\[(\w+)\]`\*\* .*\n((?:\| `.*\n)*)/gm)].map(([, name, rows = '']) => [
        name,
        [...rows.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
          [...cell.matchAll(/`(\w+)`/g)].map(([, setting]) => setting),
        ),
      ]),
    );
    const known = Object.entries(values).map(([name, own]) => [name, Object.keys(own).sort()] as const);
    expect(Object.fromEntries([...sections].map(([name, own]) => [name, own.sort()]))).toEqual(
      Object.fromEntries(known),
    );
  });

  it('has an example that is read without a warning', () => {
    const [, example = ''] = /^```ini\n([^]*?)^```$/m.exec(read(join(DOCS, 'configuration.md'))) ?? [];
    const { warnings, unknownNames } = settingsFrom(parseConf(example, 'conf'), {
      confDir: '/etc/backup',
      env: {},
      user: { uid: 0, home: '/root' },
      hostname: 'web1',
    });
    expect({ warnings, unknownNames }).toEqual({ warnings: [], unknownNames: [] });
  });
});

describe('docs/security.md', () => {
  it('names tests that there are', () => {
    let count = 0;
    for (const line of read(join(DOCS, 'security.md')).split('\n')) {
      const start = line.indexOf('test: ');
      if (start < 0) continue;
      let file = '';
      // A file in backticks, then names in quotes, which may hold backticks themselves.
      for (const [, path, name] of line.slice(start).matchAll(/`([^`"]+\.ts)`|"([^"]+)"/g)) {
        file = path ?? file;
        if (name === undefined) continue;
        expect(read(join(ROOT, 'test', file)).includes(name), `${file}: ${name}`).toBe(true);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(0);
  });
});

describe('docs/format.md', () => {
  it('names every field of a manifest', () => {
    const types = read(join(ROOT, 'src/manifest/types.ts'));
    const fields = [...types.matchAll(/^ {2}([a-z_0-9]+)\??:/gm)].map(([, field = '']) => field);
    const text = read(join(DOCS, 'format.md'));
    expect(fields.length).toBeGreaterThan(40);
    for (const field of new Set(fields))
      expect(text.includes(`\`${field}\``) || text.includes(`"${field}"`), field).toBe(true);
  });
});

describe('commands in the documents', () => {
  const helps = new Map<string, Promise<string>>();
  const helpOf = (name: string): Promise<string> => {
    const known = helps.get(name) ?? run([name, '--help']).then(({ stdout }) => stdout);
    helps.set(name, known);
    return known;
  };

  it.each(['README.md', ...documents.map((name) => `docs/${name}`)])(
    '%s names those that there are, with options that they have',
    async (name) => {
      const text = read(join(ROOT, name)).replaceAll(/\\\n\s*/g, ' ');
      for (const [, command = '', rest = ''] of text.matchAll(
        /s3-sysbackup ([a-z][a-z-]*)\b([^`\n|;&#]*)/g,
      )) {
        if (!COMMANDS.some((known) => known.name === command)) continue;
        for (const [option] of rest.matchAll(/(?<=\s)--[a-z][a-z-]*/g))
          expect(await helpOf(command), `${command} ${option}`).toMatch(new RegExp(`\\s${option}\\b`));
      }
      // Where a shell is to type it, it is a command.
      for (const [, script = ''] of text.matchAll(/^```sh\n([^]*?)^```$/gm))
        for (const [, command] of script.matchAll(/^(?:sudo (?:-u \w+ )?)?s3-sysbackup ([a-z][a-z-]*)/gm))
          expect(COMMANDS.map((known) => known.name)).toContain(command);
    },
  );
});
