import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConf } from '#src/config/conf-file.js';
import {
  type LoadedSettings,
  loadSettings,
  type LoadSettingsOptions,
  settingsFrom,
} from '#src/config/load.js';
import { storageClassWarnings } from '#src/config/storage-class.js';
import { SysbackupError } from '#src/errors.js';

const OPTIONS: LoadSettingsOptions = {
  confDir: '/etc/backup',
  env: {},
  user: { uid: 0, home: '/root' },
  hostname: 'web1',
};

function load(text: string, options: Partial<LoadSettingsOptions> = {}): LoadedSettings {
  return settingsFrom(parseConf(text, 'conf'), { ...OPTIONS, ...options });
}

function refusal(action: () => unknown): SysbackupError {
  try {
    action();
  } catch (error) {
    if (error instanceof SysbackupError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

const s3Of = (loaded: LoadedSettings) => {
  if (loaded.settings.destination.kind !== 's3') throw new Error('is no bucket');
  return loaded.settings.destination.s3;
};

describe('settings', () => {
  it('have their defaults where the conf is empty', () => {
    const { settings, warnings } = load('');
    expect(warnings).toEqual([]);
    expect(settings).toEqual({
      confDir: '/etc/backup',
      backupName: 'web1-backup',
      backupNameIsDefault: true,
      destination: {
        kind: 's3',
        s3: {
          prefix: '',
          forcePathStyle: false,
          requireObjectLock: true,
          aws: {},
          cloudFormation: { export: 'backup-bucket' },
        },
      },
      content: {
        lockTimeout: 2,
        daysRetained: 14,
        mode: 'GOVERNANCE',
        share: true,
        bundleBelow: undefined,
        blockSize: 16 * 1024 * 1024,
        compression: 'gzip',
        compressionLevel: 6,
        gzipLibrary: 'auto',
      },
      classes: {},
      programs: { timeout: undefined, allowEmpty: [] },
      statePath: '/var/lib/s3-sysbackup',
    });
  });

  it('take what the conf says, each with its line', () => {
    const { settings, values, warnings } = load(`
[aws]
profile = spare
credentials_file = credentials
role_arn: arn:aws:iam::123456789012:role/backup
[s3]
bucket = my-bucket
endpoint_url = https://s3.example.net:8443/
region = eu-1
prefix = hosts/web
storage_class = COLD
force_path_style = off
require_object_lock = No
[cloudformation]
region = eu-central-1
export = other:export
[content]
lock_timeout = 0.5
days_retained = 30
mode = compliance
share = FALSE
bundle_below = 64 KiB
block_size = 1m
compression = none
[retention]
weekly = 8w
monthly = 12m
yearly = 7y
[programs]
timeout = 2 h
allow_empty = one,
  two three
[state]
path = ../state
`);
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({
      destination: {
        s3: {
          bucket: 'my-bucket',
          endpointUrl: 'https://s3.example.net:8443',
          region: 'eu-1',
          prefix: 'hosts/web/',
          storageClass: 'COLD',
          forcePathStyle: false,
          requireObjectLock: false,
          aws: {
            profile: 'spare',
            credentialsFile: '/etc/backup/credentials',
            roleArn: 'arn:aws:iam::123456789012:role/backup',
          },
          cloudFormation: { region: 'eu-central-1', export: 'other:export' },
        },
      },
      content: {
        lockTimeout: 0.5,
        daysRetained: 30,
        mode: 'COMPLIANCE',
        share: false,
        bundleBelow: 65_536,
        blockSize: 1_048_576,
        compression: 'none',
      },
      classes: { weekly: 56, monthly: 372, yearly: 2562 },
      programs: { timeout: 7200, allowEmpty: ['one', 'two', 'three'] },
      statePath: '/etc/state',
    });
    expect(values['aws']?.['profile']).toEqual({ value: 'spare', source: 'conf:3' });
    expect(values['content']?.['mode']).toEqual({ value: 'COMPLIANCE', source: 'conf:20' });
    expect(values['content']?.['compression_level']).toEqual({ value: null, source: 'default' });
    expect(values['directory']?.['path']).toEqual({ value: null, source: 'default' });
  });

  it('are interpolated and inherited from [DEFAULT]', () => {
    const { settings, values } = load('[DEFAULT]\nroot = /srv\nPath = %(Root)s/50%%\n\n[directory]\n');
    expect(settings.destination).toEqual({ kind: 'directory', path: '/srv/50%' });
    expect(values['directory']?.['path']).toEqual({ value: '/srv/50%', source: 'conf:3' });
  });

  it('take the bucket path into the URL where the server is not Amazon', () => {
    expect(s3Of(load('[s3]\nendpoint_url = http://127.0.0.1:8000')).forcePathStyle).toBe(true);
    expect(s3Of(load('[s3]\nendpoint_url = https://s3.us-east-1.amazonaws.com')).forcePathStyle).toBe(false);
  });

  it('let AWS_PROFILE win over profile', () => {
    const loaded = load('[aws]\nprofile = conf', { env: { AWS_PROFILE: 'env' } });
    expect(s3Of(loaded).aws.profile).toBe('env');
    expect(loaded.values['aws']?.['profile']).toEqual({ value: 'env', source: 'environment AWS_PROFILE' });
    expect(s3Of(load('[aws]\nprofile = conf', { env: { AWS_PROFILE: '' } })).aws.profile).toBe('conf');
  });

  it('ignore role_arn without credentials_file, and say so', () => {
    const loaded = load('[aws]\nrole_arn = arn:aws:iam::123456789012:role/backup');
    expect(s3Of(loaded).aws).toEqual({});
    expect(loaded.warnings).toEqual([expect.stringMatching(/^conf:2: \[aws\] role_arn .*credentials_file/)]);
  });

  it.each([
    [{}, '/home/me/.local/state/s3-sysbackup', 'default'],
    [{ XDG_STATE_HOME: '/states' }, '/states/s3-sysbackup', 'environment XDG_STATE_HOME'],
    [{ XDG_STATE_HOME: 'relative' }, '/home/me/.local/state/s3-sysbackup', 'default'],
  ])('keep the state of a user with %o in %s', (env, path, source) => {
    const { settings, values } = load('', { env, user: { uid: 1000, home: '/home/me' } });
    expect(settings.statePath).toBe(path);
    expect(values['state']?.['path']).toEqual({ value: path, source });
  });

  it.each([
    ['backups', '/etc/backup/backups'],
    ['~/backups', '/root/backups'],
    ['/srv/a b', '/srv/a b'],
  ])('make the path %s absolute', (written, path) => {
    expect(load(`[directory]\npath = ${written}`).settings.destination).toEqual({ kind: 'directory', path });
  });

  it('refuse a directory and a bucket at once', () => {
    const error = refusal(() => load('[directory]\npath = /srv\n[s3]\nbucket = my-bucket'));
    expect(error.code).toBe('CONFIG');
    expect(error.message).toMatch(/^conf:2: \[directory\] path and conf:4: \[s3\] bucket /);
  });

  it('warn of AWS settings beside a directory', () => {
    expect(load('[directory]\npath = /srv\n[aws]\nprofile = x').warnings).toEqual([
      expect.stringMatching(/^conf:4: \[aws\] profile has no effect/),
    ]);
  });
});

describe('bad values', () => {
  it.each([
    ['content', 'days_retained', 'soon', 'a whole number of days from 1 to 36,500'],
    ['content', 'days_retained', '0', 'from 1 to 36,500'],
    ['content', 'days_retained', '36501', 'from 1 to 36,500'],
    ['content', 'days_retained', '1.5', 'a whole number'],
    ['content', 'days_retained', '１４', 'a whole number'],
    ['content', 'lock_timeout', '-1', 'a number of seconds from 0'],
    ['content', 'lock_timeout', 'inf', 'a number of seconds'],
    ['content', 'mode', 'LEGAL_HOLD', 'GOVERNANCE or COMPLIANCE'],
    ['content', 'share', 'maybe', 'yes, true, on, 1, no, false, off or 0'],
    ['content', 'bundle_below', '-5', 'a whole number of bytes from 0'],
    ['content', 'bundle_below', '64 MiB', 'from 0 to 16,777,216'],
    ['content', 'block_size', '64 KB', 'k or KiB (1,024 bytes)'],
    ['content', 'block_size', '1.5 MiB', 'a whole number of bytes'],
    ['content', 'block_size', '1', 'from 4,096'],
    ['content', 'block_size', '9999999999999999999999', 'a whole number of bytes'],
    ['content', 'compression', 'lzma', 'gzip'],
    ['content', 'compression_level', '10', 'a level of gzip, from 1 to 9'],
    ['content', 'gzip_library', 'pigz', 'auto, zlib or libdeflate'],
    ['retention', 'weekly', '8', 'like 8w, 12m or 7y'],
    ['retention', 'yearly', '101y', 'to 36,500 days'],
    ['retention', 'monthly', '0m', 'from 1 to'],
    ['programs', 'timeout', '0', 'from 1'],
    ['programs', 'timeout', 'never', 'a number of seconds'],
    ['directory', 'path', '', 'a path'],
    ['s3', 'bucket', 's3://my-bucket/x', 'the name of a bucket alone'],
    ['s3', 'bucket', '', 'the name of a bucket alone'],
    ['s3', 'endpoint_url', 'localhost:8000', 'a URL that begins with http:// or https://'],
    ['s3', 'endpoint_url', 'https://key:secret@host', 'without user'],
    ['s3', 'endpoint_url', 'https://host/?x=1', 'without user, query'],
    ['s3', 'prefix', '/hosts', 'without a slash at its beginning'],
    ['s3', 'prefix', 'a//b', 'without empty'],
    ['s3', 'prefix', 'a/../b', 'parts'],
    ['s3', 'prefix', 'ä'.repeat(300), 'at most 512 bytes'],
    ['s3', 'storage_class', 'COLD', 'STANDARD_IA'],
    ['s3', 'region', 'eu central', 'a region'],
    ['s3', 'force_path_style', '2', 'yes'],
    ['aws', 'role_arn', 'backup', 'the ARN of a role'],
    ['cloudformation', 'export', 'my export', 'a CloudFormation export'],
  ])('[%s] %s = %s', (section, name, value, allowed) => {
    const error = refusal(() => load(`# a comment\n\n[${section}]\n${name} = ${value}\n`));
    expect(error.code).toBe('CONFIG');
    expect(error.exitCode).toBe(2);
    expect(error.message.startsWith(`conf:4: [${section}] ${name} = `)).toBe(true);
    expect(error.message).toContain(allowed);
    if (value.length < 60 && value !== '') expect(error.message).toContain(value);
  });

  it('are shown on one line, cut where long', () => {
    const error = refusal(() => load(`[content]\ndays_retained = ${'long '.repeat(50)}\n  and\n  more\n`));
    expect(error.message).not.toContain('\n');
    expect(error.message.length).toBeLessThan(200);
  });

  it('refuse bundle_below above block_size', () => {
    const error = refusal(() => load('[content]\nblock_size = 64k\nbundle_below = 65537'));
    expect(error.message).toContain('conf:3: [content] bundle_below = 65537: must be');
    expect(error.message).toContain('65,536');
  });

  it.skipIf('zstdCompressSync' in zlib)('refuse zstd where Node has none (needs a Node without it)', () => {
    const error = refusal(() => load('[content]\ncompression = zstd'));
    expect(error.message).toContain(`this Node, ${process.version}, has no zstd`);
  });
});

describe('unknown names', () => {
  it('are warned of, with the nearest known one', () => {
    expect(load('[contents]\ndays_retained = 3\n[s3]\nbuckt = b\n[frob]\n').warnings).toEqual([
      expect.stringMatching(
        /^conf:1: \[contents\] is not a known section, and days_retained in it is ignored; did you mean \[content\]\? Known: .*\[s3\]/,
      ),
      expect.stringMatching(/^conf:4: \[s3\] buckt = b is ignored: .* did you mean bucket\? Known: .*prefix/),
      expect.stringMatching(/^conf:5: \[frob\] is not a known section; Known: /),
    ]);
  });

  it.each(['__proto__', 'constructor', 'toString'])('are names like %s too', (name) => {
    expect(load(`[s3]\n${name} = 1\n[${name}]\na = 1`).warnings).toHaveLength(2);
    expect(load(`[directory]\npath = /srv\n[s3]\n${name} = 1`).warnings).toHaveLength(1);
  });

  it('may serve interpolation', () => {
    const { settings, warnings } = load(
      '[DEFAULT]\nsite = north\n[s3]\nhost = s3.example.net\nendpoint_url = https://%(HOST)s\nprefix = %(site)s',
    );
    expect(warnings).toEqual([]);
    expect(settings.destination).toMatchObject({
      s3: { endpointUrl: 'https://s3.example.net', prefix: 'north/' },
    });
  });

  it('are warned of where a known one in [DEFAULT] reaches no section', () => {
    const { settings, warnings } = load('[DEFAULT]\ndays_retained = 300\n');
    expect(settings.content.daysRetained).toBe(14);
    expect(warnings).toEqual([expect.stringMatching(/^conf:2: \[DEFAULT\] days_retained .*\[content\]/)]);
  });
});

describe('the backup name', () => {
  it.each([
    '',
    '.',
    '..',
    'a/b',
    'a\nb',
    'a\0',
    '\ud800',
    ' a',
    'ä'.repeat(101),
    'latest',
    '20261120T121000Z-x',
  ])('%j is refused', (backupName) => {
    expect(refusal(() => load('', { backupName })).code).toBe('CONFIG');
  });

  it.each(['web1', 'Büro-Server', 'a b', '...', '-x', 'ä'.repeat(100)])('%j is taken', (backupName) => {
    expect(load('', { backupName }).settings.backupName).toBe(backupName);
  });
});

describe('the storage class', () => {
  it('is warned of where it is charged longer than kept, or cannot be read at once', () => {
    const warningsOf = (storageClass: string, days: number) =>
      storageClassWarnings(
        load(`[s3]\nstorage_class = ${storageClass}\n[content]\ndays_retained = ${days}`).settings,
      );
    expect(warningsOf('standard_ia', 29)).toEqual([expect.stringContaining('30 days at least')]);
    expect(warningsOf('STANDARD_IA', 30)).toEqual([]);
    expect(warningsOf('DEEP_ARCHIVE', 14)).toHaveLength(2);
    expect(storageClassWarnings(load('[directory]\npath = /srv').settings)).toEqual([]);
  });
});

describe('the conf file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 's3-sysbackup-conf-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  const write = (content: string | Buffer) => writeFile(join(folder, 'conf'), content);
  const loadFolder = () => loadSettings({ ...OPTIONS, confDir: folder });

  it('is missed with a sentence and a hint', async () => {
    await expect(loadSettings({ ...OPTIONS, confDir: join(folder, 'none') })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(join(folder, 'none', 'conf')),
      hint: expect.stringContaining('--conf-dir'),
    });
  });

  it('is read', async () => {
    await write('[directory]\npath = store\n');
    expect((await loadFolder()).settings).toMatchObject({
      confDir: folder,
      destination: { kind: 'directory', path: join(folder, 'store') },
    });
  });

  it.each([
    ['invalid UTF-8', Buffer.from('[s3]\n\n# caf\xe9\n', 'latin1'), 3, 'UTF-8'],
    ['a sequence cut off by the end', Buffer.from('[s3]\n# \xc3', 'latin1'), 2, 'UTF-8'],
    ['a byte order mark', Buffer.from('\ufeff[s3]\n'), 1, 'byte order mark'],
    ['no header', Buffer.from('\nbucket = b\n'), 2, 'before any section'],
    ['a section twice', Buffer.from('[s3]\n[aws]\n[s3]\n'), 3, 'second time'],
    ['a setting twice', Buffer.from('[s3]\nbucket = a\nBucket = b\n'), 3, 'second time'],
    ['a line that is nothing', Buffer.from('[s3]\nbucket\n'), 2, 'neither'],
    ['an unknown reference', Buffer.from('[s3]\nbucket = %(nix)s\n'), 2, '%(nix)s'],
    ['a lone percent sign', Buffer.from('[s3]\nbucket = 5%\n'), 2, '%'],
    ['a circle', Buffer.from('[s3]\nbucket = %(a)s\na = %(bucket)s\n'), 2, 'lead through'],
  ])('is refused at its line for %s', async (_, content, line, sentence) => {
    await write(content);
    await expect(loadFolder()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(`${join(folder, 'conf')}:${line}: `),
      hint: expect.stringMatching(/\w/),
    });
    await expect(loadFolder()).rejects.toThrow(sentence);
  });

  it('is refused where it is a folder', async () => {
    await mkdir(join(folder, 'odd', 'conf'), { recursive: true });
    await expect(loadSettings({ ...OPTIONS, confDir: join(folder, 'odd') })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('cannot read'),
    });
  });
});
