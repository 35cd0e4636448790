import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '#cli/commands/registry.js';
import { run } from '../unit/cli/command.js';
import { administrator, type Identity, REGION, underRole } from './admin.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);

const DOCUMENT = fileURLToPath(new URL('../../docs/permissions.md', import.meta.url));
/** It asks no bucket. */
const OF_DIRECTORIES = 'expire';
const NAME = 'web1-backup';

/** The table below "Commands by role": for each command as it is typed, a cell for each role. */
function documentedTable(): { roles: string[]; rows: [command: string, cells: string[]][] } {
  const section = /^## Commands by role$([^]*?)^## /m.exec(readFileSync(DOCUMENT, 'utf8'))?.[1] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  const cells = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const [[, ...roles] = [], , ...rows] = cells;
  return {
    roles,
    rows: rows.map(([command = '', ...own]) => [command.replaceAll('`', ''), own]),
  };
}

/** Exit code that a cell stands for: yes, no, or no with another code than that of a refusal. */
function codeOf(cell: string): number {
  if (cell === 'yes') return 0;
  const [, code = '12'] = /^no(?: \((\d+)\))?$/.exec(cell) ?? ['', 'NaN'];
  return Number(code);
}

describe.skipIf(moto === undefined)(
  'the roles of create-resources, against moto (needs python3 and PyPI)',
  () => {
    const url = moto?.url ?? '';
    const server = ['--endpoint-url', url, '--cf-region', REGION];
    const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-roles-'));
    const { roles, rows } = documentedTable();
    const identities = new Map<string, Identity>();
    let runs: string[] = [];

    beforeAll(async () => {
      const admin = await administrator(url);
      await moto?.enforceIamAfter(0);
      const made = await run(['create-resources', ...server, '--json'], { env: admin });
      const { outputs } = JSON.parse(made.stdout) as { outputs: Record<string, string> };
      for (const role of roles) {
        const arn = outputs[`${role[0]?.toUpperCase()}${role.slice(1)}RoleArn`] ?? '';
        identities.set(role, await underRole(url, admin, arn));
      }
      identities.set('administrator', admin);
      mkdirSync(join(folder, 'data'));
      for (const [kind, script] of [
        ['pickers.d', `find ${join(folder, 'data')}`],
        ['snapshots.d', 'echo dumped >&$1'],
      ] as const) {
        mkdirSync(join(folder, kind));
        writeFileSync(join(folder, kind, 'test'), `#!/bin/sh\n${script}\n`);
        chmodSync(join(folder, kind, 'test'), 0o755);
      }
      const s3 = `[s3]\nbucket = ${outputs['BucketName']}\nendpoint_url = ${url}\nregion = ${REGION}\n`;
      writeFileSync(join(folder, 'conf'), `${s3}[content]\nbundle_below = 1KiB\n[state]\npath = state\n`);
      for (const content of ['first', 'second']) {
        writeFileSync(join(folder, 'data', 'letter'), content);
        await run(['archive', '--name', NAME, '--conf-dir', folder], { env: identities.get('backup') ?? {} });
      }
      const listed = await run(['list', '--json', '--conf-dir', folder], {
        env: identities.get('restore') ?? {},
      });
      runs = (JSON.parse(listed.stdout) as { run: string }[]).map(({ run: id }) => id);
      expect(runs).toHaveLength(2);
    });
    afterAll(async () => {
      await moto?.stop();
      rmSync(folder, { recursive: true });
    });

    /** What the documented command is typed like here. */
    function typed(command: string, role: string): string[] {
      const [first = '', second = ''] = runs;
      const conf = ['--conf-dir', folder];
      const letter = join(folder, 'data', 'letter');
      const target = join(folder, `back-${role}`);
      const more: Record<string, string[]> = {
        archive: ['--name', NAME, ...conf],
        'archive --dry-run': ['--name', NAME, ...conf],
        list: conf,
        ls: [second, ...conf],
        diff: [first, second, ...conf],
        cat: [second, letter, ...conf],
        restore: [second, '--target', target, ...conf],
        'restore --snapshots': [`${target}-snapshots`, second, ...conf],
        verify: [second, ...conf],
        renew: ['--retain-days', '30', ...conf],
        'rebuild-catalog': ['--name', NAME, '--yes', ...conf],
        'check-config --connect': conf,
        'create-resources': [...server, '--package-name', `of-${role}`, '--export', `of-${role}`],
        'update-resources': [...server, '--max-lock-days', '300', '--yes'],
        'write-config --user': [
          `of-${role}`,
          ...server,
          '--no-systemd-unit',
          '--conf-dir',
          join(folder, role),
        ],
      };
      // An option that may have a value would take what comes next for one.
      const words = command === 'verify --read-data' ? ['verify', second, '--read-data', ...conf] : undefined;
      return words ?? [...command.split(' '), ...(more[command] ?? ['--not-known-to-this-test'])];
    }

    it('are four, and every command has its row', () => {
      expect(roles).toEqual(['backup', 'restore', 'audit', 'renew']);
      const named = new Set(rows.map(([command]) => command.split(' ')[0]));
      for (const { name } of COMMANDS) if (name !== OF_DIRECTORIES) expect(named).toContain(name);
    });

    it.each(rows.map(([command]) => command))(
      '%s is allowed and refused as docs/permissions.md says',
      async (command) => {
        const [, cells = []] = rows.find(([own]) => own === command) ?? [];
        const found: Record<string, string> = {};
        const documented: Record<string, string> = {};
        for (const [nth, role] of roles.entries()) {
          // Something new, which must be stored.
          writeFileSync(join(folder, 'data', 'letter'), `${role}: ${command}\n`);
          const env = identities.get(role) ?? {};
          const { code, stderr } = await run(typed(command, role), { env });
          documented[role] = `${codeOf(cells[nth] ?? '')}`;
          found[role] = `${code}`;
          if (code === 12) expect(stderr).toMatch(/^s3-sysbackup: .*(denied|not authorized|cannot)/m);
        }
        expect(found).toEqual(documented);
        // It is for want of rights that it fails, and not of anything else.
        if (Object.values(found).every((code) => code !== '0')) {
          const env = identities.get('administrator') ?? {};
          expect(await run(typed(command, 'administrator'), { env })).toMatchObject({ code: 0 });
        }
      },
    );
  },
);
