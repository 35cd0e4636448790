import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ended } from '../kit/built-program.js';
import { bootedOrSkip, PROGRAM_THERE } from './booted-systemd.js';

const system = await bootedOrSkip();

/** What a picker is asked in there: who it is, and whether it can write where it must not. */
const LOOK_AROUND = [
  'id --user --name',
  'grep --no-messages ^Cap /proc/self/status',
  'for place in /etc /srv /usr /tmp; do LC_ALL=C touch $place/spoiled && echo "spoiled $place"; done',
].join('\n');

describe.skipIf(system === undefined)('under a real systemd (needs root, and to boot one)', () => {
  const program = PROGRAM_THERE.join(' ');

  async function sh(script: string): Promise<Ended> {
    return (await system?.sh(script)) ?? { code: null, signal: null, stdout: '', stderr: '' };
  }

  async function picker(script: string): Promise<void> {
    const path = '/etc/backup/pickers.d/test';
    const written = await sh(`cat >${path} <<'END'\n#!/bin/sh\n${script}\nEND\nchmod 755 ${path}`);
    expect(written).toMatchObject({ code: 0 });
  }

  /** What systemd says of the last run. */
  async function started(unit: string): Promise<{ code: number | null; result: string; status: string }> {
    const { code } = await sh(`systemctl start ${unit}`);
    const { stdout } = await sh(`systemctl show ${unit} --property=Result,ExecMainStatus`);
    const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    return { code, result: value('Result'), status: value('ExecMainStatus') };
  }

  async function journal(...args: string[]): Promise<string> {
    return (await sh(`journalctl --sync; journalctl --no-pager --output=cat ${args.join(' ')}`)).stdout;
  }

  beforeAll(async () => {
    expect(await sh(`${program} write-config --directory /srv/backup`)).toMatchObject({ code: 0 });
  });
  afterAll(async () => await system?.stop());

  it('write-config enables timers that wait for a moment in the window', async () => {
    for (const timer of ['s3-sysbackup.timer', 's3-sysbackup-expire.timer']) {
      const { stdout } = await sh(`systemctl is-enabled ${timer}; systemctl is-active ${timer}`);
      expect(stdout).toBe('enabled\nactive\n');
      const next = (await sh(`systemctl show ${timer} --property=NextElapseUSecRealtime --value`)).stdout;
      expect(next).toMatch(/ 0[1-4]:\d\d:\d\d /);
    }
  });

  it('a service with nothing to back up fails, and says why', async () => {
    expect(await started('s3-sysbackup.service')).toEqual({ code: 1, result: 'exit-code', status: '2' });
    expect(await journal('--unit=s3-sysbackup', '--priority=err')).toContain(
      'nothing says what to back up: there is no executable in /etc/backup/pickers.d',
    );
    await sh('systemctl reset-failed');
  });

  it('the service reads every file as the user backup, with one capability, and can write nowhere else', async () => {
    await picker(`{\n${LOOK_AROUND}\n} >&2\necho /etc/shadow`);
    expect(await started('s3-sysbackup.service')).toEqual({ code: 0, result: 'success', status: '0' });
    const said = await journal('--unit=s3-sysbackup');
    expect(said).toContain('test: backup\n');
    // CAP_DAC_READ_SEARCH is number 2.
    for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(said).toContain(`${set}:\t${'4'.padStart(16, '0')}\n`);
    for (const place of ['/srv', '/tmp'])
      expect(said).toContain(`cannot touch '${place}/spoiled': Read-only file system`);
    expect(said).not.toContain('spoiled /');
    expect(said).toMatch(/run \S+ is complete/);
    const back = `${program} cat latest /etc/shadow --conf-dir /etc/backup`;
    expect((await sh(`${back} | cmp - /etc/shadow`)).code).toBe(0);
    expect((await sh('stat --format="%U %a" /var/lib/s3-sysbackup /srv/backup')).stdout).toBe(
      'backup 700\nbackup 700\n',
    );
  });

  /** The lines of the last run at this priority and no other. */
  async function linesAt(priority: string): Promise<string[]> {
    const { stdout } = await sh('systemctl show s3-sysbackup --property=InvocationID --value');
    const said = await journal(
      `_SYSTEMD_INVOCATION_ID=${stdout.trim()}`,
      `--priority=${priority}..${priority}`,
    );
    return said.split('\n').filter((line) => line !== '' && line !== '-- No entries --');
  }

  it('a run that lacks something is no failure, and one line says so as a warning; a drop-in makes it a failure', async () => {
    await picker('echo /etc/shadow; echo /etc/not-there');
    expect(await started('s3-sysbackup.service')).toEqual({ code: 0, result: 'success', status: '3' });
    const warnings = await linesAt('warning');
    expect(warnings.filter((line) => /: run \S+ is partial$/.test(line))).toHaveLength(1);
    expect(warnings.filter((line) => !line.includes('/etc/not-there'))).toHaveLength(1);
    expect(await linesAt('err')).toEqual([]);
    const dropIn = '/etc/systemd/system/s3-sysbackup.service.d';
    await sh(
      `mkdir ${dropIn}; printf '[Service]\\nSuccessExitStatus=\\n' >${dropIn}/strict.conf; systemctl daemon-reload`,
    );
    expect(await started('s3-sysbackup.service')).toEqual({ code: 1, result: 'exit-code', status: '3' });
    await sh(`rm -r ${dropIn}; systemctl daemon-reload; systemctl reset-failed`);
  });

  it('a broken run fails the service, and the journal has it as an error', async () => {
    await picker('echo /etc/shadow; exit 1');
    expect(await started('s3-sysbackup.service')).toEqual({ code: 1, result: 'exit-code', status: '4' });
    const errors = await linesAt('err');
    expect(errors.filter((line) => /: run \S+ is broken$/.test(line))).toHaveLength(1);
    expect((await sh('systemctl is-failed s3-sysbackup.service')).stdout).toBe('failed\n');
    await sh('systemctl reset-failed');
  });

  it('the timer starts the service by itself', async () => {
    await picker('echo /etc/hostname; echo begun >/mnt/begun');
    await sh('mkfifo --mode=666 /mnt/begun; mkdir /etc/systemd/system/s3-sysbackup.timer.d');
    const now = '[Timer]\\nOnCalendar=\\nRandomizedDelaySec=0\\nAccuracySec=1us\\nOnActiveSec=1us\\n';
    await sh(`printf '${now}' >/etc/systemd/system/s3-sysbackup.timer.d/now.conf; systemctl daemon-reload`);
    const begun = sh('timeout 60 cat /mnt/begun');
    await sh('systemctl restart s3-sysbackup.timer');
    expect((await begun).stdout).toBe('begun\n');
    // Joins the run under way, and ends with it.
    expect(await started('s3-sysbackup.service')).toEqual({ code: 0, result: 'success', status: '0' });
    expect((await sh(`${program} list --conf-dir /etc/backup --json`)).stdout).toContain(
      '"outcome":"complete"',
    );
  });

  it('a disk that is not mounted fails the service, which says what takes another one in its place', async () => {
    await sh(
      'mv /srv/backup /srv/disk; install --directory --owner=backup --group=backup --mode=0700 /srv/backup',
    );
    await picker('echo /etc/hostname');
    expect(await started('s3-sysbackup.service')).toEqual({ code: 1, result: 'exit-code', status: '10' });
    const said = await journal('--unit=s3-sysbackup', '--lines=20');
    expect(said).toContain('there is no store in /srv/backup, where this machine has stored before');
    const [, command = ''] = /once: sudo s3-sysbackup (write-config .*)$/m.exec(said) ?? [];
    expect(await sh(`${program} ${command}`)).toMatchObject({ code: 0 });
    expect((await sh('stat --format=%U /srv/backup/*')).stdout).toBe('backup\n');
    expect(await started('s3-sysbackup.service')).toEqual({ code: 0, result: 'success', status: '0' });
    await sh('rm -r /srv/backup; mv /srv/disk /srv/backup');
    expect(await started('s3-sysbackup.service')).toEqual({ code: 0, result: 'success', status: '0' });
  });

  it('the service that expires gets at the store, and at nothing else', async () => {
    expect(await started('s3-sysbackup-expire.service')).toEqual({ code: 0, result: 'success', status: '0' });
    expect(await journal('--unit=s3-sysbackup-expire')).toContain('removed 0 manifests');
  });
});
