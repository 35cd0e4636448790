import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../cli/command.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8').replaceAll(/\s+/g, ' ');
const documents = readdirSync(join(ROOT, 'docs')).map((name) => read(`docs/${name}`));

/** What a user has to find explained: the word, an example of it, and the command whose help has it. */
const WORDS: readonly [word: string, example: RegExp, command: string][] = [
  ['--list', /s3-sysbackup archive --dry-run --list/, 'archive'],
  ['--quiet', /s3-sysbackup archive --quiet/, 'archive'],
  ['--force', /s3-sysbackup restore --to-tar \S+ --force/, 'restore'],
  ['--create-store', /s3-sysbackup archive --create-store/, 'archive'],
  ['--set-aside', /s3-sysbackup verify (?:--read-data )?--set-aside/, 'verify'],
  ['--accept', /s3-sysbackup expire --accept \S+\/\d{8}T/, 'expire'],
  ['--for', /s3-sysbackup check-config .*?--for renew/, 'check-config'],
  ['[backup]', /name = web1-backup/, 'archive'],
  ['allow_empty', /allow_empty = NAME/, 'archive'],
];

describe.each(WORDS)('%s', (word, example, command) => {
  it('stands in the changelog with an example', () => {
    const text = read('CHANGELOG.md');
    expect([text.includes(word), example.test(text)]).toEqual([true, true]);
  });

  it('stands in the documents with an example', () => {
    expect(documents.filter((text) => text.includes(word) && example.test(text)).length).toBeGreaterThan(0);
  });

  it('stands in the help', async () => {
    const { stdout } = await run([command, '--help']);
    expect(stdout.includes(word)).toBe(true);
  });
});
