import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { combinedExitCode, EXIT_CODES, SysbackupError } from '#src/index.js';
import { run } from '../cli/command.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const codes = EXIT_CODES.map(({ code }) => code);

describe('the table of exit codes', () => {
  it('stands in the README, word for word', () => {
    const table = /\| exit code \| means \|\n\| --- \| --- \|\n((?:\|.*\|\n)+)/.exec(read('README.md'))?.[1];
    expect(table?.trimEnd().split('\n')).toEqual(
      EXIT_CODES.map(({ code, meaning }) => `| ${code} | ${meaning} |`),
    );
  });

  it('stands in the help', async () => {
    const { stdout } = await run(['--help']);
    const lines = stdout.slice(stdout.indexOf('Exit codes:\n')).trimEnd().split('\n').slice(1);
    expect(lines.map((line) => line.trim())).toEqual(
      EXIT_CODES.map(({ code, meaning }) => `${code}  ${meaning.replaceAll('`', '')}`),
    );
  });

  it('is what the units of systemd count on', () => {
    const status = [...read('templates/systemd/archive.service').matchAll(/^SuccessExitStatus=(.*)$/gm)];
    expect(status.map(([, value]) => value)).toEqual(['3']);
    expect(EXIT_CODES.find(({ code }) => code === 3)?.meaning).toMatch(/partial/);
    expect(read('templates/systemd/upkeep.service')).not.toMatch(/^SuccessExitStatus=/m);
  });

  it('is what --json says', async () => {
    const { code, stdout } = await run(['archive', '--json', '--conf-dir', '/nonexistent']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', code: 'CONFIG', exitCode: 2 });
  });

  it('has the code of every error', () => {
    const kinds = [...read('src/errors.ts').matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, kind = '']) => kind);
    expect(kinds.length).toBeGreaterThan(10);
    for (const kind of kinds)
      expect(codes, kind).toContain(new SysbackupError(kind as 'USAGE', 'for a test').exitCode);
  });

  it('names no code in the examples and documents that it does not have', () => {
    for (const path of ['README.md', 'docs/getting-started.md', 'docs/fleet.md', 'docs/permissions.md'])
      for (const [, code] of read(path).matchAll(/exit code (\d+)/g))
        expect(codes, path).toContain(Number(code));
  });
});

describe('combinedExitCode', () => {
  const ORDER = [14, 2, 12, 11, 10, 4, 13, 1, 3, 0];

  it('takes the gravest, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ORDER)), (given) => {
        expect(combinedExitCode(given)).toBe(ORDER.find((code) => given.includes(code)) ?? 0);
      }),
    );
  });

  it('puts a signal before all else, and takes an unknown code for a failure', () => {
    expect(combinedExitCode([14, 143, 2])).toBe(143);
    expect(combinedExitCode([130, 14])).toBe(130);
    expect(combinedExitCode([99, 3])).toBe(1);
    expect(combinedExitCode([])).toBe(0);
  });
});
