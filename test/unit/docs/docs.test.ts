import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '#cli/commands/registry.js';
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
