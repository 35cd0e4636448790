import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseConf } from '#src/config/conf-file.js';
import { type LoadedSettings, settingsFrom } from '#src/config/load.js';
import { carryOut } from '#src/system/carry-out.js';
import type { ConfChanges } from '#src/system/conf-text.js';
import { carriedText, readCarried } from '#src/system/credentials-text.js';
import type { MachineFacts } from '#src/system/machine.js';
import { type PlanOptions, planSteps } from '#src/system/plan.js';
import type { FileStep, Step } from '#src/system/steps.js';
import { timeWindow } from '#src/system/time-window.js';
import { temporaryFolder } from '../../kit/temporary.js';

const BARE: MachineFacts = {
  scope: 'system',
  conf: undefined,
  renewConf: undefined,
  hasUser: false,
  hasGroup: false,
  systemd: true,
  missingFolders: [],
};
const TO_S3: ConfChanges = {
  store: { kind: 's3', bucket: 'locked', region: 'eu-central-1', endpointUrl: undefined },
  credentials: { kind: 'file', path: '/etc/backup/credentials', profile: undefined },
  daysRetained: 30,
  mode: 'COMPLIANCE',
  statePath: '/var/lib/s3-sysbackup',
};
const UNITS = {
  name: 's3-sysbackup',
  folder: '/etc/systemd/system',
  program: ['/usr/bin/node', '/opt/my programs/100% main.js'],
  window: timeWindow('01:00', '4h'),
  start: true,
};

async function plan(
  options: Partial<PlanOptions> = {},
  machine: Partial<MachineFacts> = {},
): Promise<Step[]> {
  return await planSteps(
    {
      confDir: '/etc/backup',
      changes: TO_S3,
      key: { path: '/etc/backup/credentials', key: { id: 'AKIA', secret: 'a/b+c=' }, profile: 'default' },
      units: UNITS,
      renewal: undefined,
      ...options,
    },
    { ...BARE, ...machine },
  );
}

function files(steps: readonly Step[]): Map<string, FileStep> {
  return new Map(steps.flatMap((step) => (step.kind === 'file' ? [[step.path, step] as const] : [])));
}

function commands(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => (step.kind === 'command' ? [step.command.join(' ')] : []));
}

function loaded(text: string | undefined): LoadedSettings {
  return settingsFrom(parseConf(text ?? '', 'conf'), {
    confDir: '/etc/backup',
    hostname: 'web1',
    user: { uid: 0, home: '/root' },
    env: {},
  });
}

describe('folders that are missing', () => {
  const foldersOf = (steps: readonly Step[]): string[] =>
    steps.flatMap((step) => (step.kind === 'folder' ? [step.path] : []));

  it('are steps of the plan, each once and before what is in it', async () => {
    const missingFolders = ['/etc/units/ours', '/etc/units', '/etc/backup', '/srv/a/store', '/srv/a'];
    const units = { ...UNITS, folder: '/etc/units/ours' };
    const changes: ConfChanges = { ...TO_S3, store: { kind: 'directory', path: '/srv/a/store' } };
    const steps = await plan({ units, changes }, { missingFolders });
    expect(foldersOf(steps)).toEqual([
      '/etc/backup',
      '/etc/backup/pickers.d',
      '/etc/backup/snapshots.d',
      '/srv/a',
      '/etc/units',
      '/etc/units/ours',
    ]);
    const unit = steps.findIndex((step) => step.kind === 'file' && step.path.startsWith('/etc/units/ours/'));
    expect(unit).toBeGreaterThan(
      steps.findIndex((step) => step.kind === 'folder' && step.path === units.folder),
    );
    expect(steps.find((step) => step.kind === 'folder' && step.path === '/etc/units')).toMatchObject({
      mode: 0o755,
      owner: { user: 'root', group: 'root' },
    });
  });

  it('are made, and taken back where a later step fails', async () => {
    const folder = temporaryFolder();
    const at = (name: string): string => join(folder, name);
    const missingFolders = ['etc', 'etc/backup', 'units/of', 'units', 'srv'].map(at);
    const steps = await plan(
      {
        confDir: at('etc/backup'),
        key: undefined,
        units: { ...UNITS, folder: at('units/of') },
        changes: { ...TO_S3, store: { kind: 'directory', path: at('srv/store') } },
      },
      { missingFolders, scope: 'personal' },
    );
    const ended = (status: number) => ({ status, stdout: Buffer.of(), stderr: Buffer.from('no systemd') });
    const done = carryOut(steps, { env: {}, run: async () => ended(1) });
    await expect(done).rejects.toThrow('systemctl daemon-reload failed');
    expect(readdirSync(folder)).toEqual([]);
    await carryOut(steps, { env: {}, run: async () => ended(0) });
    expect(readdirSync(at('units/of'))).toContain('s3-sysbackup.service');
  });

  it('are no steps where they are there', async () => {
    expect(foldersOf(await plan())).not.toContain(UNITS.folder);
  });
});

describe('the plan for a machine', () => {
  it('has every file with the mode and the owner that it must have', async () => {
    const steps = await plan();
    const shown = [...files(steps).values()].map(({ path, mode, owner }) => [
      path,
      mode.toString(8),
      owner?.group,
    ]);
    expect(shown).toEqual([
      ['/etc/backup/credentials', '640', 'backup'],
      ['/etc/backup/conf', '644', 'root'],
      ['/etc/backup/pickers.d/example', '644', 'root'],
      ['/etc/backup/snapshots.d/example', '644', 'root'],
      ['/etc/systemd/system/s3-sysbackup.service', '644', 'root'],
      ['/etc/systemd/system/s3-sysbackup.timer', '644', 'root'],
    ]);
    expect(files(steps).get('/etc/backup/credentials')?.secret).toBe(true);
    expect(commands(steps)).toEqual([
      expect.stringMatching(/^useradd --system .* backup$/),
      'systemctl daemon-reload',
      'systemctl enable --now s3-sysbackup.timer',
    ]);
  });

  it('has a conf that archive takes without a warning, with bundles and weekly backups', async () => {
    const { settings, warnings } = loaded(files(await plan()).get('/etc/backup/conf')?.content);
    expect(warnings).toEqual([]);
    expect(settings.content).toMatchObject({ bundleBelow: 1_048_576, daysRetained: 30, mode: 'COMPLIANCE' });
    expect(settings.classes).toEqual({ weekly: 56 });
    expect(settings.statePath).toBe('/var/lib/s3-sysbackup');
    expect(settings.destination).toMatchObject({
      kind: 's3',
      s3: { bucket: 'locked', region: 'eu-central-1' },
    });
  });

  it('makes neither a user nor a group that is there', async () => {
    expect(commands(await plan({}, { hasUser: true, hasGroup: true }))[0]).toBe('systemctl daemon-reload');
    expect(commands(await plan({}, { hasGroup: true }))[0]).toContain('--gid backup');
  });

  it('starts nothing where it is not to, and asks nothing of a systemd that does not run', async () => {
    expect(commands(await plan({ units: { ...UNITS, start: false } }, { hasUser: true }))).toEqual([
      'systemctl daemon-reload',
    ]);
    expect(commands(await plan({}, { hasUser: true, systemd: false }))).toEqual([]);
    expect(commands(await plan({ units: undefined }, { hasUser: true }))).toEqual([]);
  });

  it('in a folder of one’s own has no other owner, and a key for nobody else', async () => {
    const steps = await plan({ units: undefined }, { scope: 'personal' });
    expect(steps.every((step) => step.kind === 'command' || step.owner === undefined)).toBe(true);
    expect(files(steps).get('/etc/backup/credentials')?.mode).toBe(0o600);
    expect(commands(steps)).toEqual([]);
  });

  it('leaves in a conf that is there all that no option names', async () => {
    const conf =
      '# mine\n[aws]\nprofile = old\nrole_arn = arn:aws:iam::1:role/x\n[directory]\npath = /srv\n[content]\nbundle_below = 0\n';
    const text = files(await plan({}, { conf })).get('/etc/backup/conf')?.content;
    const { settings } = loaded(text);
    expect(text).toContain('# mine\n');
    expect(text).toContain('# profile = old\n');
    expect(settings.content.bundleBelow).toBe(0);
    expect(settings.classes).toEqual({});
    expect(settings.destination).toMatchObject({
      kind: 's3',
      s3: { bucket: 'locked', aws: { credentialsFile: '/etc/backup/credentials' } },
    });
  });

  it('for a directory has a store for nobody else, and a timer that expires', async () => {
    const changes: ConfChanges = {
      ...TO_S3,
      store: { kind: 'directory', path: '/srv/back up' },
      credentials: { kind: 'unchanged' },
    };
    const steps = await plan({ changes, key: undefined });
    expect(steps).toContainEqual({
      kind: 'store',
      path: '/srv/back up',
      mode: 0o700,
      owner: { user: 'backup', group: 'backup' },
    });
    const below = { ...changes, store: { kind: 'directory', path: '/not-there/at-all/store' } as const };
    const missingFolders = ['/not-there/at-all/store', '/not-there/at-all', '/not-there'];
    const folders = (await plan({ changes: below, key: undefined }, { missingFolders })).filter(
      ({ kind }) => kind === 'folder',
    );
    expect(folders).toMatchObject([{}, {}, {}, { path: '/not-there' }, { path: '/not-there/at-all' }]);
    expect(loaded(files(steps).get('/etc/backup/conf')?.content).settings.destination).toEqual({
      kind: 'directory',
      path: '/srv/back up',
    });
    const unit = (name: string): string | undefined => files(steps).get(join(UNITS.folder, name))?.content;
    expect(unit('s3-sysbackup.service')).toContain('ReadWritePaths="/srv/back up"\n');
    expect(unit('s3-sysbackup-expire.service')).toContain('expire --directory "/srv/back up"\n');
    expect(commands(steps)).toContain('systemctl enable --now s3-sysbackup-expire.timer');
  });

  it('has units whose words mean the same to systemd', async () => {
    const unit = files(await plan()).get('/etc/systemd/system/s3-sysbackup.service')?.content;
    expect(unit).toContain(
      'ExecStart=/usr/bin/node "/opt/my programs/100%% main.js" archive --conf-dir /etc/backup\n',
    );
    expect(unit).not.toMatch(/@[A-Z_]+@/);
    const timer = files(await plan()).get('/etc/systemd/system/s3-sysbackup.timer')?.content;
    expect(timer).toContain('OnCalendar=*-*-* 01:00:00\nRandomizedDelaySec=14400s\n');
  });
});

describe('a time window', () => {
  it.each(['noon', '24:00', '1:60', '', '01:00 UTC', '*:*'])('does not begin at %j', (start) => {
    expect(() => timeWindow(start, '4h')).toThrow('is no time of the day');
  });
  it.each(['', 'long', '4', '24h', '-1h', '4 fortnights', '1h, 2h', '1e3s'])('is not %j long', (length) => {
    expect(() => timeWindow('01:00', length)).toThrow('is no length of a window');
  });
});

describe('credentials that are carried', () => {
  const carried = {
    key: { id: 'AKIA', secret: 'a/b+c%d=' },
    bucket: 'locked',
    region: 'eu-central-1',
    endpointUrl: undefined,
    mode: 'GOVERNANCE',
    retentionDays: 14,
    maximumLockDays: 100,
  };
  it('read as they were written', () => {
    expect(readCarried(carriedText(carried), 'fleet.cpt')).toEqual(carried);
  });
  it('are refused without showing what is in them', () => {
    for (const text of ['[default]\naws_access_key_id = AKIA\n', 'secret-key-here\n', '']) {
      const read = (): unknown => readCarried(text, 'fleet.cpt');
      expect(read).toThrow(/^fleet\.cpt holds no/);
      expect(read).not.toThrow(/secret-key-here/);
    }
  });
});
