import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { libdeflate } from '#src/content/libdeflate.js';
import { describe, expect, it } from 'vitest';
import { jsonLines, Machine, MAIN, run } from './command.js';

const COMMANDS = ['archive', 'list', 'ls', 'diff', 'cat', 'restore', 'check-config'];

describe('help', () => {
  it('lists commands and exit codes on standard output', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const command of COMMANDS) expect(stdout).toContain(`  ${command}`);
    for (const exitCode of [0, 1, 2, 3, 10, 11, 12, 13, 130, 143])
      expect(stdout).toMatch(new RegExp(`^ *(130, )?${exitCode}(, 143)? {2}`, 'm'));
  });

  it.each(COMMANDS)('%s --help has examples, and is what `help %s` says', async (command) => {
    const [byOption, byCommand] = await Promise.all([run([command, '--help']), run(['help', command])]);
    expect(byOption.code).toBe(0);
    expect(byOption.stdout).toContain(`s3-sysbackup ${command}`);
    expect(byOption.stdout).toContain('Examples:');
    expect(byCommand).toEqual(byOption);
  });

  it('no command at all is a mistake, and shows the help on standard error', async () => {
    const { code, stdout, stderr } = await run([]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Commands:');
  });
});

it('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(MAIN, '../../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

describe('a wrong command line', () => {
  it.each([
    { args: ['archiv'], says: "unknown command 'archiv'", hint: 'archive' },
    { args: ['archive', '--dryrun'], says: "unknown option '--dryrun'", hint: '--dry-run' },
    { args: ['--jsom', 'list'], says: "unknown option '--jsom'", hint: '--json' },
    { args: ['archive', '--progress', 'maybe'], says: "'maybe'", hint: 'archive --help' },
    { args: ['archive', '--max-requests', '-1'], says: '-1', hint: 'archive --help' },
    { args: ['list', 'all'], says: 'too many arguments', hint: 'list --help' },
    { args: ['list', '--log-level', 'loud'], says: "'loud'", hint: 'list --help' },
    { args: ['list', '--bucket', 'b', '--directory', '/d'], says: 'several stores', hint: 'one' },
    { args: ['list', '--conf-dir', '/c', '--directory', '/d'], says: 'several stores', hint: 'one' },
    { args: ['list', '--region', 'r'], says: '--region alone', hint: '--bucket' },
    { args: ['restore', '--directory', '/d'], says: 'no terminal to ask', hint: '--target' },
  ])('$args: one sentence, a hint, exit code 2', async ({ args, says, hint }) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^s3-sysbackup: /);
    expect(lines[0]).toContain(says);
    expect(lines[1]).toMatch(/^hint: /);
    expect(lines[1]).toContain(hint);
  });

  it('is a line of JSON too where that is asked for', async () => {
    const { code, stdout } = await run(['archiv', '--json']);
    expect(code).toBe(2);
    expect(jsonLines(stdout)).toEqual([
      {
        type: 'error',
        code: 'USAGE',
        message: "unknown command 'archiv'",
        hint: 'Did you mean archive?',
        exitCode: 2,
      },
    ]);
  });
});

describe('a wrong conf', () => {
  it('is told with file, line, setting and what is allowed, with and without JSON', async () => {
    const machine = new Machine('[content]\ndays_retained = soon\n');
    const place = `${join(machine.confDir, 'conf')}:6`;
    const plain = await machine.archive();
    expect(plain.code).toBe(2);
    expect(plain.stderr).toContain(place);
    expect(plain.stderr).toContain('days_retained = soon');
    expect(plain.stderr).not.toMatch(/^ {4}at /m);
    const json = await machine.archive('--json');
    expect(json.code).toBe(2);
    const [error] = jsonLines(json.stdout);
    expect(error).toMatchObject({ type: 'error', code: 'CONFIG' });
    expect(error?.['message']).toContain(place);
  });

  it('is told with its stack at --log-level debug', async () => {
    const machine = new Machine('[content]\nmode = LOOSE\n');
    const { stderr } = await machine.archive('--log-level', 'debug');
    expect(stderr).toMatch(/^ {4}at /m);
  });

  it('that is not there is no mystery', async () => {
    const { code, stderr } = await run(['list', '--conf-dir', '/nonexistent']);
    expect(code).toBe(2);
    expect(stderr).toContain('/nonexistent/conf');
    expect(stderr).toMatch(/^hint: .*--directory/m);
  });
});

describe('check-config', () => {
  it('shows each setting with its source, in one JSON document of one shape', async () => {
    const machine = new Machine('[content]\ndays_retained = 30\n');
    machine.pickData();
    machine.picker('README', '');
    const { chmodSync } = await import('node:fs');
    chmodSync(join(machine.confDir, 'pickers.d/README'), 0o644);
    const { code, stdout } = await run([
      'check-config',
      '--json',
      '--connect',
      '--conf-dir',
      machine.confDir,
    ]);
    expect(code).toBe(0);
    const shown = JSON.parse(stdout) as Record<string, Record<string, { value: unknown; source: string }>>;
    expect(shown['content']?.['days_retained']).toEqual({ value: 30, source: 'conf:6' });
    expect(shown['content']?.['mode']?.source).toBe('default');
    expect(shown['pickers.d']?.['10-data']?.value).toBe('runs');
    expect(shown['pickers.d']?.['README']?.value).toMatch(/^skipped: .*executable/);
    expect(shown['store']?.['object_lock']?.value).toBe(true);
    for (const section of Object.values(shown))
      for (const setting of Object.values(section)) expect(Object.keys(setting)).toEqual(['value', 'source']);
  });

  it('shows which library compresses, and says what to install where the one that is set is missing', async () => {
    const here = libdeflate() !== undefined;
    const machine = new Machine('[content]\ngzip_library = auto\n');
    machine.pickData();
    const { stdout } = await run(['check-config', '--json', '--conf-dir', machine.confDir]);
    const { content } = JSON.parse(stdout) as { content: Record<string, { value: string; source: string }> };
    expect(content['gzip_library']).toEqual({
      value: here ? 'libdeflate' : 'zlib',
      source: expect.stringMatching(/^conf:\d+, auto$/),
    });
    machine.writeConf('[directory]\npath = store\n[content]\ngzip_library = libdeflate\n');
    const { code, stderr } = await run(['check-config', '--conf-dir', machine.confDir]);
    expect(code).toBe(here ? 0 : 2);
    if (!here) expect(stderr).toMatch(/libdeflate\.so\.0[^]*libdeflate0/);
  });

  it('warns of what has no meaning, on standard error', async () => {
    const machine = new Machine('[contnet]\nshare = no\n');
    const { code, stdout, stderr } = await run(['check-config', '--conf-dir', machine.confDir]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^warning: .*\[contnet\].*\[content\]/);
    expect(stdout).toContain('days_retained');
    expect(stdout).not.toContain('contnet');
  });

  it('warns of a storage class that is charged for longer than its content may be kept', async () => {
    const machine = new Machine();
    machine.pickData();
    const s3 = '[s3]\nbucket = some-bucket\nstorage_class = STANDARD_IA\n';
    machine.writeConf(`${s3}[content]\ndays_retained = 14\n`);
    const short = await run(['check-config', '--conf-dir', machine.confDir]);
    expect(short.code).toBe(0);
    expect(short.stderr).toMatch(
      /^warning: .*STANDARD_IA is charged for 30 days at least, .*days_retained = 14/,
    );
    machine.writeConf(`${s3}[content]\ndays_retained = 30\n`);
    expect((await run(['check-config', '--conf-dir', machine.confDir])).stderr).toBe('');
  });
});
