/**
 * The snapshotters in examples/ with the databases they are for: dumped by `archive`, dropped, brought back by
 * `restore --run-restore-through`, compared. Each server is one of its own, in a temporary folder, without a network.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventsIn, runProgram, summaryIn } from '../kit/built-program.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { asRoot, findProgram } from '../kit/programs.js';

const EXAMPLES = fileURLToPath(new URL('../../examples/snapshotters/', import.meta.url));
const PATH = process.env['PATH'] ?? '/usr/bin:/bin';
/** Where Debian keeps PostgreSQL's own programs: in a folder for each version. */
const POSTGRES_FOLDERS = '/usr/lib/postgresql';

/** Needs these of Debian's packages postgresql, sqlite3 and mariadb-server, and root, to become the servers' users. */
const canPostgres = asRoot && postgresFolder() !== undefined && findProgram('pg_dump') !== undefined;
const canSqlite = findProgram('sqlite3') !== undefined;
const canMariadb =
  asRoot && findProgram('mariadbd') !== undefined && findProgram('mariadb-dump') !== undefined;
const isWanted = (isHere: boolean): boolean => isHere || Boolean(process.env['CI']);

type Env = Record<string, string>;

interface Restored {
  env: Env;
  /** Restores all snapshots through their commands. */
  restore(): Promise<void>;
}

/** Archives with these examples as snapshotters, by file name. */
async function archived(examples: Record<string, string>, env: Env): Promise<Restored> {
  const backup = ConfFolder.make();
  backup.conf();
  backup.picker('none', `echo '${backup.confDir}'`);
  for (const [name, example] of Object.entries(examples)) {
    copyFileSync(join(EXAMPLES, example), join(backup.confDir, example));
    chmodSync(join(backup.confDir, example), 0o755);
    symlinkSync(`../${example}`, join(backup.confDir, 'snapshots.d', name));
  }
  const run = await runProgram(['archive', '--conf-dir', backup.confDir, '--json'], {
    env: { PATH, ...env },
  });
  expect(eventsIn(run.stdout, 'problem')).toEqual([]);
  expect(run.code).toBe(0);
  const restore = async (): Promise<void> => {
    const args = ['--snapshots', backup.at('dumps'), '--run-restore-through', '--yes', '--json'];
    const ended = await runProgram(['restore', '--conf-dir', backup.confDir, ...args], {
      env: { PATH, ...env },
    });
    expect(eventsIn(ended.stdout, 'problem')).toEqual([]);
    expect(ended.code).toBe(0);
    const names = Object.keys(examples).sort();
    const restored = names.map((name) => expect.objectContaining({ name, through: 'done' }));
    expect(summaryIn(ended.stdout)).toMatchObject({ snapshots: { restored } });
    expect(ended.stderr).toContain('asks to be restored through');
  };
  return { env, restore };
}

/** A folder of another user's, for a server's files. */
function folderOf(user: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sysbackup-db-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [uid = 0, gid = 0] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, user])));
  chownSync(folder, uid, gid);
  return folder;
}

/** Waits until the server answers, or ends. */
async function ready(server: ChildProcess, answers: () => boolean): Promise<void> {
  const until = performance.now() + 60_000;
  while (!answers()) {
    if (server.exitCode !== null || performance.now() > until) throw new Error('the server does not answer');
    await delay(100);
  }
}

function stopAtEnd(server: ChildProcess, signal: NodeJS.Signals): void {
  onTestFinished(async () => {
    const ended = once(server, 'exit');
    if (server.exitCode === null && server.kill(signal)) await ended;
  });
}

describe.skipIf(!isWanted(canPostgres))(
  'PostgreSQL (root, packages postgresql and postgresql-client)',
  () => {
    it('comes back with its roles, after all of it was dropped', async () => {
      expect(canPostgres).toBe(true);
      const env = await startPostgres();
      const sql = (database: string, text: string): string =>
        asUser('postgres', env, ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', text]);
      sql('postgres', "create role shopkeeper login password 'secret'");
      sql('postgres', 'create database shop owner shopkeeper');
      sql(
        'shop',
        `set role shopkeeper; create schema sales;
       create table sales.orders (id serial primary key, who text not null, what bytea, at timestamptz, price numeric(12,4));
       create index on sales.orders (who, price);
       create function sales.total() returns numeric language sql as 'select sum(price) from sales.orders';
       create view sales.large as select * from sales.orders where price > 10;
       insert into sales.orders (who, what, at, price)
         select 'größe ' || n, decode(repeat(lpad(to_hex(n % 256), 2, '0'), 200), 'hex'), now(), n / 7.0
         from generate_series(1, 5000) n;
       grant select on sales.orders to public`,
      );
      const dump = (): string =>
        asUser('postgres', env, ['pg_dump', 'shop']).replaceAll(/^\\(?:un)?restrict .*$/gm, '');
      const role = (): string =>
        sql(
          'postgres',
          "select rolname, rolcanlogin, rolpassword from pg_authid where rolname = 'shopkeeper'",
        );
      const before = [dump(), role()];
      const names = { 'postgresql-00-globals': 'postgresql', 'postgresql-shop': 'postgresql' };
      const { restore } = await archived(names, env);
      sql('postgres', 'drop database shop');
      sql('postgres', 'drop role shopkeeper');
      await restore();
      expect([dump(), role()]).toEqual(before);
      expect(sql('shop', 'select count(*), sales.total() > 0 from sales.orders')).toBe('5000|t\n');

      // Over a database that is there and has gone wrong, too.
      sql('shop', 'delete from sales.orders where id % 2 = 0; drop view sales.large');
      await restore();
      expect([dump(), role()]).toEqual(before);
    });
  },
);

describe.skipIf(!isWanted(canMariadb))('MariaDB (root, package mariadb-server)', () => {
  it('comes back with its users, after databases were dropped', async () => {
    expect(canMariadb).toBe(true);
    const env = await startMariadb();
    const sql = (text: string): string =>
      execFileSync('mariadb', ['-N', '-B', '-e', text], { env: { PATH, ...env } }).toString();
    sql(`create database shop character set utf8mb4; use shop;
      create table orders (id int auto_increment primary key, who varchar(100), what blob, price decimal(12,4)) engine=InnoDB;
      insert into orders (who, what, price) select concat('größe ', seq), unhex(repeat('00ff0a', 50)), seq / 7 from seq_1_to_5000;
      create view large as select * from orders where price > 10;
      create trigger cents before insert on orders for each row set new.price = round(new.price, 2);
      create procedure total() select sum(price) from orders;
      create user keeper@localhost identified by 'secret'; grant select on shop.* to keeper@localhost`);
    const facts = (): string =>
      [
        'checksum table shop.orders',
        'select count(*), sum(price), max(id) from shop.large',
        'show create procedure shop.total',
        'show create trigger shop.cents',
        'show grants for keeper@localhost',
      ]
        .map(sql)
        .join('\n')
        // The time at which it was made.
        .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d\d/g, '');
    const before = facts();
    const { restore } = await archived({ mariadb: 'mariadb' }, env);
    sql('drop database shop; drop user keeper@localhost; flush privileges');
    await restore();
    sql('flush privileges');
    expect(facts()).toBe(before);
  });
});

describe.skipIf(!isWanted(canSqlite))('SQLite (package sqlite3)', () => {
  it('comes back as of the last transaction, while a program was in the midst of the next', async () => {
    expect(canSqlite).toBe(true);
    const folder = mkdtempSync(join(tmpdir(), 'sysbackup-db-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'app.db');
    const sql = (file: string, text: string): string =>
      execFileSync('sqlite3', ['-bail', file, text]).toString();
    sql(
      path,
      `pragma journal_mode = wal; create table orders (id integer primary key, who text, what blob);
       with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
         insert into orders select i, 'größe ' || i, zeroblob(i % 50) from n;
       create index by_who on orders (who)`,
    );
    const before = sql(path, '.dump');
    // Its own cache of two pages makes it write what is not yet committed.
    const writer = spawn('sqlite3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
    writer.stdin.write(
      "pragma cache_size = 2; begin; update orders set who = 'half'; select 'in the midst';\n",
    );
    const [said] = (await once(writer.stdout, 'data')) as [Buffer];
    expect(String(said)).toContain('in the midst');
    const { restore } = await archived({ sqlite: 'sqlite' }, { SQLITE_DATABASE: path });
    writer.stdin.end('commit;\n');
    await once(writer, 'exit');
    expect(sql(path, "select count(*) from orders where who = 'half'")).toBe('5000\n');
    await restore();
    const restored = `${path}.restored`;
    expect(sql(restored, 'pragma integrity_check')).toBe('ok\n');
    expect(sql(restored, '.dump')).toBe(before);
  });
});

async function startPostgres(): Promise<Env> {
  const programs = postgresFolder() ?? '';
  const folder = folderOf('postgres');
  const data = join(folder, 'data');
  asUser('postgres', {}, [
    join(programs, 'initdb'),
    '-D',
    data,
    '-A',
    'peer',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale=C.UTF-8',
  ]);
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off'].flatMap((one) => [
    '-c',
    one,
  ]);
  const command = [join(programs, 'postgres'), '-D', data, ...settings];
  const server = spawn('setpriv', [...becoming('postgres'), ...command], { stdio: 'ignore', cwd: folder });
  // Fast shutdown.
  stopAtEnd(server, 'SIGINT');
  const env = { PGHOST: folder };
  await ready(server, () => spawnSync('pg_isready', ['-q'], { env: { PATH, ...env } }).status === 0);
  return env;
}

async function startMariadb(): Promise<Env> {
  const folder = folderOf('mysql');
  const [data, socket] = [join(folder, 'data'), join(folder, 'socket')];
  mkdirSync(data);
  const common = ['--no-defaults', `--datadir=${data}`, '--user=mysql'];
  execFileSync(
    'mariadb-install-db',
    [...common, '--skip-test-db', '--auth-root-authentication-method=socket'],
    { stdio: 'pipe' },
  );
  const server = spawn(
    findProgram('mariadbd') ?? '',
    [
      ...common,
      `--socket=${socket}`,
      `--pid-file=${join(folder, 'pid')}`,
      '--skip-networking',
      '--innodb-flush-log-at-trx-commit=0',
    ],
    { stdio: 'ignore' },
  );
  stopAtEnd(server, 'SIGTERM');
  // What Debian sets for all clients comes before MYSQL_UNIX_PORT, and after this.
  writeFileSync(join(folder, '.my.cnf'), `[client]\nsocket = ${socket}\n`);
  const env = { HOME: folder };
  await ready(server, () => spawnSync('mariadb', ['-e', 'select 1'], { env: { PATH, ...env } }).status === 0);
  return env;
}

function postgresFolder(): string | undefined {
  try {
    const newest = readdirSync(POSTGRES_FOLDERS)
      .sort((a, b) => Number(a) - Number(b))
      .at(-1);
    return newest === undefined ? undefined : join(POSTGRES_FOLDERS, newest, 'bin');
  } catch {
    return undefined;
  }
}

function becoming(user: string): string[] {
  return [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
}

function asUser(user: string, env: Env, command: readonly string[]): string {
  const options = { env: { PATH, LC_ALL: 'C.UTF-8', ...env }, cwd: '/', maxBuffer: 1 << 28 };
  return execFileSync('setpriv', [...becoming(user), ...command], options).toString();
}
