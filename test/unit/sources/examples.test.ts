import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { pathFromText, textOfPath } from '#src/files/byte-path.js';
import { findExecutables } from '#src/sources/executables.js';
import { runPickers } from '#src/sources/pickers.js';
import { runSnapshotter } from '#src/sources/snapshotters.js';
import { env, newFolder, uid, writeScript } from './script-folder.js';

const examples = resolve(import.meta.dirname, '../../../examples');
const folders = ['quickstart/pickers.d', 'quickstart/snapshots.d', 'pickers', 'snapshotters'];
const scripts = folders.flatMap((folder) =>
  readdirSync(join(examples, folder)).map((name) => join(folder, name)),
);

async function runExample(script: string, more: Record<string, string> = {}) {
  return await runSnapshotter({
    snapshotter: { name: 'example', path: pathFromText(resolve(examples, script)) },
    spoolFolder: newFolder(),
    env: { ...env, ...more },
    onLog: () => {},
  });
}

describe('every example', () => {
  it.each(scripts)('%s is an executable script that a POSIX shell can read', (script) => {
    const path = join(examples, script);
    expect(statSync(path).mode & 0o111).toBe(0o111);
    expect(readFileSync(path, 'utf8')).toMatch(/^#!\/bin\/sh\n# /);
    execFileSync('sh', ['-n', path]);
  });
});

describe('the quickstart', () => {
  it('picks its own sample files and some of /etc', async () => {
    const paths: string[] = [];
    const results = await runPickers({
      folder: join(examples, 'quickstart/pickers.d'),
      uid,
      env,
      onPaths: (some) => void paths.push(...Array.from(some.paths(), (path) => textOfPath(path) ?? '')),
      onLog: () => {},
    });
    expect(results.map(({ name, problems }) => [name, problems])).toEqual([
      ['10-sample-files', []],
      ['20-some-of-etc', []],
    ]);
    const samples = readdirSync(join(examples, 'quickstart/files'), { recursive: true }).map((name) =>
      join(examples, 'quickstart/files', String(name)),
    );
    expect(paths).toEqual(expect.arrayContaining([...samples, '/etc/passwd']));
    for (const path of paths) expect(statSync(path)).toBeDefined();
  });

  it('takes an inventory of the machine', async () => {
    const { executables } = await findExecutables(join(examples, 'quickstart/snapshots.d'), { uid });
    expect(executables.map(({ name }) => name)).toEqual(['inventory']);
    const taken = await runExample('quickstart/snapshots.d/inventory');
    if (!taken.ok) throw new Error(taken.problems[0]?.message);
    expect(taken.problems).toEqual([]);
    expect(readFileSync(taken.path, 'utf8')).toContain('== packages\n');
    expect(taken.description).toMatch(/^Packages and mounted file systems of ./);
    expect(taken.restoreThrough).toBe('cat');
  });
});

describe('the example for SQLite', () => {
  it.skipIf(spawnSync('sqlite3', ['-version']).status !== 0)(
    'copies a database that is in use (needs sqlite3)',
    async () => {
      const database = join(newFolder(), "it's.db");
      const sql = (file: string, statement: string): string =>
        execFileSync('sqlite3', [file, statement], { encoding: 'utf8' });
      sql(database, 'PRAGMA journal_mode=WAL; CREATE TABLE t (n); INSERT INTO t VALUES (42)');
      const taken = await runExample('snapshotters/sqlite', { SQLITE_DATABASE: database });
      if (!taken.ok) throw new Error(taken.problems[0]?.message);
      expect(sql(taken.path, 'SELECT n FROM t')).toBe('42\n');
    },
  );

  it('fails where there is no database', async () => {
    const result = await runExample('snapshotters/sqlite', { SQLITE_DATABASE: '/nonexistent.db' });
    expect(result.problems[0]?.message).toContain('there is no /nonexistent.db');
  });
});

// Stand-ins for servers' programs, first in PATH: what is tested is what the scripts make of them.
describe('the example for MariaDB', () => {
  async function withDump(body: string) {
    const bin = newFolder();
    writeScript(bin, 'mariadb-dump', body);
    return await runExample('snapshotters/mariadb', { PATH: `${bin}:${env.PATH}` });
  }

  it('compresses the dump', async () => {
    const taken = await withDump('echo "dump of $*"');
    if (!taken.ok) throw new Error(taken.problems[0]?.message);
    expect(gunzipSync(readFileSync(taken.path)).toString()).toContain('dump of --single-transaction');
    expect(taken.restoreThrough).toBe('gunzip | mariadb');
  });

  it('fails where the dump breaks off in the middle', async () => {
    const result = await withDump('echo "half of it"; exit 2');
    expect(result.ok).toBe(false);
    expect(result.problems[0]?.message).toContain('the dump broke off');
  });
});

describe('the example for PostgreSQL', () => {
  async function as(name: string, programs: Record<string, string>) {
    const bin = newFolder();
    // What su does with these arguments, without the change of user.
    writeScript(
      bin,
      'su',
      '[ "$1 $2 $3 $4" = "-s /bin/sh postgres -c" ] && [ "$6" = -- ] || exit 9\nscript=$5; shift 6; exec sh -c "$script" "$@"',
    );
    for (const [program, body] of Object.entries(programs)) writeScript(bin, program, body);
    const folder = mkdtempSync(join(tmpdir(), 'postgresql-'));
    symlinkSync(join(examples, 'snapshotters/postgresql'), join(folder, name));
    try {
      return await runExample(join(folder, name), { PATH: `${bin}:${env.PATH}` });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it('dumps the database that the link is named after', async () => {
    const taken = await as('postgresql-my shop', { pg_dump: 'printf "%s\\n" "$@"' });
    if (!taken.ok) throw new Error(taken.problems[0]?.message);
    expect(readFileSync(taken.path, 'utf8')).toContain('--dbname=my shop\n');
    expect(taken.description).toContain('my shop');
    expect(taken.restoreThrough).toContain('pg_restore');
  });

  it.each([
    ['with their passwords for a superuser', 't', '', 'PostgreSQL: roles and tablespaces'],
    [
      'without their passwords for anybody else',
      'f',
      '--no-role-passwords',
      'PostgreSQL: roles without their passwords, and tablespaces',
    ],
  ])('dumps the roles %s', async (_, superuser, option, description) => {
    const programs = { psql: `echo ${superuser}`, pg_dumpall: 'echo "CREATE ROLE $*"' };
    const taken = await as('postgresql-globals', programs);
    expect(taken).toMatchObject({ ok: true, description });
    if (!taken.ok) return;
    const passwords = /--no-role-passwords|$/.exec(readFileSync(taken.path, 'utf8'));
    expect(passwords?.[0]).toBe(option);
  });

  it('fails where the dump does, or the link has no name', async () => {
    const failed = await as('postgresql-shop', { pg_dump: 'echo "no such database" >&2; exit 1' });
    expect(failed.problems[0]?.message).toContain('no such database');
    expect((await as('postgresql', {})).ok).toBe(false);
  });
});
