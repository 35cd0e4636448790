import { execFile } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#cli/commands/registry.js';
import { type InstalledPackage, installPackage } from '../../kit/packed-package.js';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(path, 'utf8');

/** The program in README.md, for a conf in another folder. */
function sample(confDir: string): string {
  const [, code = ''] = /^```js\n([^]*?)^```$/m.exec(read(join(ROOT, 'README.md'))) ?? [];
  expect(code).toContain("'/etc/backup'");
  return code.replace('/etc/backup', confDir);
}

describe('the package, packed and installed', () => {
  let installed: InstalledPackage;
  beforeAll(async () => {
    installed = await installPackage();
  });
  afterAll(() => rmSync(installed.folder, { recursive: true, force: true }));

  async function say(...args: string[]): Promise<string> {
    const env = { PATH: process.env['PATH'] ?? '', HOME: installed.folder };
    try {
      const { stdout, stderr } = await run(process.execPath, [installed.main, ...args], { env });
      return stdout + stderr;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return stdout + stderr;
    }
  }

  /** Opens each file of the package that a text names, and says how many there were. */
  function open(text: string): number {
    const named = [...text.matchAll(/\/\S*\/node_modules\/s3-sysbackup\/[^\s:;,)'"`]+/g)].map(
      ([path]) => path,
    );
    for (const path of named) expect(read(path.replace(/\.$/, '')).length, path).toBeGreaterThan(0);
    // A path that counts from nowhere helps only in a clone of the repository.
    expect(text).not.toMatch(/(?<![\w/.-])(?:docs|examples|templates)\/\w/);
    return named.length;
  }

  it('has every document and the changelog', () => {
    const packed = (folder: string): string[] => readdirSync(join(installed.path, folder)).sort();
    expect(packed('docs')).toEqual(
      readdirSync(join(ROOT, 'docs'))
        .filter((name) => name.endsWith('.md'))
        .sort(),
    );
    expect(packed('.')).toEqual(expect.arrayContaining(['CHANGELOG.md', 'README.md', 'LICENSE']));
  });

  it('has each file that its help names, under the path that it gives', async () => {
    const helps = await Promise.all([
      say('--help'),
      ...COMMANDS.map(async ({ name }) => await say(name, '--help')),
    ]);
    const counts = helps.map(open);
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3);
  });

  it('has each document that its code speaks of', () => {
    const scripts = readdirSync(join(installed.path, 'dist'), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.js'),
    );
    let count = 0;
    for (const script of scripts) {
      const code = read(join(installed.path, 'dist', script)).replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '');
      for (const [, name = ''] of code.matchAll(/documentPath\('([^']*)'\)/g)) {
        expect(read(join(installed.path, 'docs', name)).length, script).toBeGreaterThan(0);
        count += 1;
      }
      expect(code, script).not.toMatch(/(?<![\w/.-])docs\/[\w-]+\.md/);
    }
    expect(count).toBeGreaterThan(3);
  });

  describe('where a server refuses', () => {
    let server: Server;
    beforeAll(async () => {
      server = createServer((_, response) => response.writeHead(403).end());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => server.close());

    it('gives a hint with a document that is there', async () => {
      const credentials = join(installed.folder, 'credentials');
      writeFileSync(credentials, '[default]\naws_access_key_id = a\naws_secret_access_key = b\n', {
        mode: 0o600,
      });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const conf = `[s3]\nbucket = some-bucket\nendpoint_url = ${url}\n[aws]\ncredentials_file = credentials\n`;
      writeFileSync(join(installed.folder, 'conf'), conf);
      const said = await say('list', '--conf-dir', installed.folder);
      expect(said).toMatch(/^hint: /m);
      expect(open(said)).toBe(1);
    });
  });

  it('runs the program in README.md, which type-checks strictly against its types, as does the example', {
    timeout: 300_000,
  }, async () => {
    const confDir = join(installed.folder, 'quickstart');
    cpSync(join(installed.path, 'examples/quickstart'), confDir, { recursive: true });
    const code = sample(confDir);
    const program = join(installed.folder, 'program.mts');
    writeFileSync(program, code);
    writeFileSync(join(installed.folder, 'package.json'), '{}');
    const example = join(installed.folder, 'backup.mjs');
    cpSync(join(installed.path, 'examples/library/backup.mjs'), example);
    const strict = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--types', 'node'];
    const files = ['--allowJs', '--checkJs', program, example];
    await run(join(ROOT, 'node_modules/.bin/tsc'), [...strict, ...files], { cwd: installed.folder }).catch(
      (error: { stdout: string }) => {
        throw new Error(error.stdout);
      },
    );
    const script = join(installed.folder, 'program.mjs');
    writeFileSync(script, code);
    expect(code).toContain('store.close()');
    const { stdout } = await run(process.execPath, [script], { cwd: installed.folder });
    expect(stdout).toBe('complete\n');
  });
});
