/**
 * The snapshotters in examples/ and templates/ as they run every night: started by systemd as the user backup, who can
 * become nobody else, with an account of its own in each database, made as their comments say.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ended } from '../kit/built-program.js';
import { findProgram } from '../kit/programs.js';
import { bootedOrSkip, PROGRAM_THERE } from './booted-systemd.js';

const system = await bootedOrSkip();
const PACKAGE = '/opt/s3-sysbackup';
const SNAPSHOTS = '/etc/backup/snapshots.d';

/** The commands to be typed once, which an example's comment gives: those that begin with sudo. */
function setUpOf(path: string): string {
  const text = readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
  const comment = text.replaceAll(/^# ?/gm, '');
  const [command] = /^ *sudo .*(?:"[^"]*")?/m.exec(comment) ?? [];
  if (command === undefined) throw new Error(`${path} names no command that makes an account`);
  const from = comment.indexOf(command);
  // A quoted text may go over lines.
  const quote =
    (command.match(/"/g)?.length ?? 0) % 2 === 1 ? comment.indexOf('"', from + command.length) + 1 : 0;
  const typed = quote > 0 ? comment.slice(from, quote) : command;
  return typed
    .replaceAll(/\bsudo -u (\w+) /g, 'setpriv --reuid=$1 --regid=$1 --init-groups ')
    .replace(/^ *sudo /, '');
}

describe.skipIf(system === undefined)(
  'the examples of snapshotters, under a real systemd (need root, to boot one, postgresql, mariadb-server, sqlite3)',
  () => {
    async function sh(script: string): Promise<Ended> {
      return (await system?.sh(script)) ?? { code: null, signal: null, stdout: '', stderr: '' };
    }
    /** Throws what it said where it fails. */
    async function done(script: string): Promise<string> {
      const { code, stdout, stderr } = await sh(`cd /\n${script}`);
      if (code !== 0) throw new Error(`exit code ${code}:\n${script}\n${stdout}${stderr}`);
      return stdout;
    }
    const psql = (database: string, sql: string): Promise<string> =>
      done(
        `setpriv --reuid=postgres --regid=postgres --init-groups psql -XAtq -v ON_ERROR_STOP=1 -d ${database} <<'END'\n${sql}\nEND`,
      );
    const mariadb = (sql: string): Promise<string> => done(`mariadb -N -B <<'END'\n${sql}\nEND`);
    const inJournal = async (): Promise<string> =>
      (await sh('journalctl --sync; journalctl --no-pager --output=cat --unit=s3-sysbackup')).stdout;

    async function backUp(): Promise<void> {
      const { code } = await sh('systemctl start s3-sysbackup');
      const said = await inJournal();
      const outcome = [...said.matchAll(/: run \S+ is (\w+)$/gm)].at(-1)?.[1];
      if (code !== 0 || outcome !== 'complete') throw new Error(`the run is ${outcome}: ${said}`);
    }
    async function restore(): Promise<void> {
      const args = '--snapshots $(mktemp -d)/dumps --run-restore-through --yes --conf-dir /etc/backup';
      await done(`${PROGRAM_THERE.join(' ')} restore ${args}`);
    }
    /** Runs these as the only snapshotters. */
    async function snapshotters(links: Record<string, string>): Promise<void> {
      const lines = Object.entries(links).map(
        ([name, path]) => `install -m 755 ${PACKAGE}/${path} ${SNAPSHOTS}/${name}`,
      );
      await done(`rm -f ${SNAPSHOTS}/*\n${lines.join('\n')}`);
    }

    beforeAll(async () => {
      for (const program of ['mariadbd', 'psql', 'sqlite3'])
        expect(findProgram(program), program).toBeDefined();
      await done(`
        ${PROGRAM_THERE.join(' ')} write-config --directory /srv/backup --no-start
        printf '#!/bin/sh\\necho /etc/hostname\\n' >/etc/backup/pickers.d/host
        chmod 755 /etc/backup/pickers.d/host
        programs=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
        install -d -o postgres -g postgres /run/postgresql /srv/postgres
        setpriv --reuid=postgres --regid=postgres --init-groups $programs/initdb -D /srv/postgres/data -A peer --no-sync \\
          -E UTF8 --locale=C.UTF-8 >/dev/null
        systemd-run --quiet --unit=postgres --uid=postgres $programs/postgres -D /srv/postgres/data \\
          -c listen_addresses= -c unix_socket_directories=/run/postgresql -c fsync=off
        install -d -o mysql -g mysql /run/mysqld /srv/mysql
        mariadb-install-db --no-defaults --datadir=/srv/mysql/data --user=mysql --skip-test-db \\
          --auth-root-authentication-method=socket >/dev/null
        systemd-run --quiet --unit=mariadb-test $(command -v mariadbd) --no-defaults --datadir=/srv/mysql/data --user=mysql \\
          --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/pid --skip-networking
        timeout 60 sh -c 'until pg_isready -q && mariadb -e "select 1" >/dev/null 2>&1; do sleep 0.1; done'
      `);
    });
    afterAll(async () => await system?.stop());

    const BY_NAME = {
      'postgresql-00-globals': 'examples/snapshotters/postgresql',
      'postgresql-shop': 'examples/snapshotters/postgresql',
    };

    it('PostgreSQL comes back, dumped by a role of its own that may only read', async () => {
      await done(setUpOf('examples/snapshotters/postgresql'));
      await psql('postgres', "create role keeper login password 'secret'; create database shop owner keeper");
      await psql(
        'shop',
        `set role keeper; create table orders (id int primary key, who text);
         insert into orders select n, 'größe ' || n from generate_series(1, 1000) n;
         alter table orders enable row level security`,
      );
      await snapshotters(BY_NAME);
      await backUp();
      expect(await inJournal()).not.toMatch(/superuser|denied/);
      await psql('postgres', 'drop database shop');
      await psql('postgres', 'drop role keeper');
      await restore();
      expect(await psql('shop', 'select count(*), min(who) from orders')).toBe('1000|größe 1\n');
      const keeper = "from pg_authid where rolname = 'keeper'";
      expect(await psql('postgres', `select rolcanlogin, rolpassword is null ${keeper}`)).toBe('t|t\n');
      // It could read, and no more.
      const write = await sh(
        "cd /; setpriv --reuid=backup --regid=backup --clear-groups psql -d shop -c 'delete from orders'",
      );
      expect(write.stderr).toContain('permission denied');
    });

    it('PostgreSQL comes back with its passwords, dumped by a superuser of its own', async () => {
      await psql('postgres', "alter role backup superuser; alter role keeper password 'secret'");
      const facts = "select rolpassword from pg_authid where rolname = 'keeper'";
      const before = await psql('postgres', facts);
      await snapshotters(BY_NAME);
      await backUp();
      await psql('postgres', 'drop database shop; drop role keeper');
      await restore();
      expect(await psql('postgres', facts)).toBe(before);
      await psql('postgres', 'alter role backup nosuperuser');
    });

    it('the template of a snapshotter dumps all databases with the role that its comment makes', async () => {
      await psql('postgres', 'drop role backup');
      await done(setUpOf('templates/snapshotter.example'));
      await snapshotters({ databases: 'templates/snapshotter.example' });
      await backUp();
      await psql('postgres', 'drop database shop; drop role keeper');
      await restore();
      expect(await psql('shop', 'select count(*) from orders')).toBe('1000\n');
    });

    it('MariaDB comes back, dumped by an account of its own that may only read', async () => {
      await done(setUpOf('examples/snapshotters/mariadb'));
      await mariadb(
        `create database shop character set utf8mb4; use shop;
         create table orders (id int primary key, who varchar(100)) engine=InnoDB;
         insert into orders select seq, concat('größe ', seq) from seq_1_to_1000;
         create view large as select * from orders where id > 500;
         create trigger cents before insert on orders for each row set new.who = trim(new.who);
         create procedure total() select count(*) from orders;
         create event nightly on schedule every 1 day do delete from orders where id < 0;
         create user keeper@localhost identified by 'secret'; grant select on shop.* to keeper@localhost`,
      );
      const facts = (): Promise<string> =>
        mariadb(
          `checksum table shop.orders; select count(*) from shop.large; show create procedure shop.total;
           show create trigger shop.cents; show create event shop.nightly; show grants for keeper@localhost`,
        );
      const withoutTimes = (text: string): string =>
        text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d\d)?/g, '');
      const before = withoutTimes(await facts());
      await snapshotters({ mariadb: 'examples/snapshotters/mariadb' });
      await backUp();
      expect(await inJournal()).not.toContain('Access denied');
      await mariadb('drop database shop; drop user keeper@localhost; flush privileges');
      await restore();
      await mariadb('flush privileges');
      expect(withoutTimes(await facts())).toBe(before);
      const write = await sh(
        "setpriv --reuid=backup --regid=backup --clear-groups mariadb -e 'delete from shop.orders'",
      );
      expect(write.stderr).toContain('denied');
    });

    it('SQLite comes back, of a database in WAL mode that belongs to another user, whether it is open or not', async () => {
      const file = '/srv/app/app.db';
      const asDaemon = 'setpriv --reuid=daemon --regid=daemon --clear-groups';
      await done(`
        install -d -o daemon -m 700 /srv/app
        ${asDaemon} sqlite3 ${file} \
          "pragma journal_mode = wal; create table orders (id integer); insert into orders values (1), (2)" >/dev/null
      `);
      await snapshotters({ sqlite: 'examples/snapshotters/sqlite' });
      await done(`sed -i 's|/var/lib/app/app.db|${file}|' ${SNAPSHOTS}/sqlite`);
      const restored = async (): Promise<string> => {
        await done(`rm -f ${file}.restored`);
        await restore();
        return await done(`sqlite3 ${file}.restored 'pragma integrity_check; select count(*) from orders'`);
      };
      await backUp();
      expect(await restored()).toBe('ok\n2\n');

      const writing = 'insert into orders values (3); begin; insert into orders values (4); .print begun';
      await done(`
        mkfifo -m 666 /tmp/written
        systemd-run --quiet --unit=writer --uid=daemon --property=StandardOutput=file:/tmp/written \
          sh -c '(printf "%b" "${writing.replaceAll('; ', ';\\n')}\\n"; sleep 600) | exec sqlite3 ${file}'
        timeout 60 grep -q begun /tmp/written
      `);
      // What the comment says of one that is open.
      const comment = readFileSync(
        fileURLToPath(new URL('../../examples/snapshotters/sqlite', import.meta.url)),
        'utf8',
      );
      const [, setfacl = ''] = /sudo (setfacl .*)$/m.exec(comment) ?? [];
      const [, dropIn = ''] = /(?<=\n)#\s*(\[Service\]\n#\s*ReadWritePaths=.*)\n/.exec(comment) ?? [];
      const here = (text: string): string =>
        text.replaceAll('/var/lib/app', '/srv/app').replaceAll(/^#\s*/gm, '');
      await done(`
        ${here(setfacl)}
        mkdir /etc/systemd/system/s3-sysbackup.service.d
        printf '%s\\n' '${here(dropIn)}' >/etc/systemd/system/s3-sysbackup.service.d/app.conf
        systemctl daemon-reload
      `);
      await backUp();
      expect(await restored()).toBe('ok\n3\n');
      await done('systemctl stop writer');
    });
  },
);
