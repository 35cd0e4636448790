import { dirname, join } from 'node:path';
import { readTemplate } from '../aws/resource-template.js';
import { type ConfChanges, changedConf } from './conf-text.js';
import { type AccessKey, credentialsFile } from './credentials-text.js';
import { type MachineFacts, SERVICE_USER } from './machine.js';
import type { CommandStep, Owner, Step } from './steps.js';
import type { TimeWindow } from './time-window.js';
import { archiveUnits, upkeepUnits, type UnitSettings } from './units.js';

/** Files with a key of IAM's. */
export interface KeyFile {
  path: string;
  key: AccessKey;
  profile: string;
}

/** What a machine is to be made into. */
export interface PlanOptions {
  /** Absolute. */
  confDir: string;
  changes: ConfChanges;
  /** The key that backs up; undefined: no file is written. */
  key: KeyFile | undefined;
  /** Units are written unless it is undefined. */
  units: PlannedUnits | undefined;
  /** A second conf, for `renew`, with a key of its own or the first one's credentials. */
  renewal: { key: KeyFile | undefined } | undefined;
}

export interface PlannedUnits {
  name: string;
  /** `/etc/systemd/system`. */
  folder: string;
  program: readonly string[];
  window: TimeWindow;
  start: boolean;
}

const ROOT: Owner = { user: 'root', group: 'root' };
const STATE = 's3-sysbackup';
export const RENEW_FOLDER = 'renew';

/** The plan, from what the machine is and what it is to be. Changes nothing. */
export async function planSteps(options: PlanOptions, machine: MachineFacts): Promise<Step[]> {
  const planner = new Planner(options, machine);
  return await planner.steps();
}

class Planner {
  readonly #options: PlanOptions;
  readonly #machine: MachineFacts;
  readonly #steps: Step[] = [];

  constructor(options: PlanOptions, machine: MachineFacts) {
    this.#options = options;
    this.#machine = machine;
  }

  async steps(): Promise<Step[]> {
    const { confDir, changes, key, renewal, units } = this.#options;
    if (this.#system) this.#user();
    this.#folder(confDir, 0o755);
    if (key !== undefined) this.#key(key);
    const conf = await this.#conf(confDir, changes, this.#machine.conf);
    await this.#examples(confDir);
    if (changes.store.kind === 'directory') this.#store(changes.store.path);
    if (renewal !== undefined) await this.#renewal(renewal.key, conf);
    if (units !== undefined) await this.#units(units);
    return this.#steps;
  }

  get #system(): boolean {
    return this.#machine.scope === 'system';
  }

  #user(): void {
    const { hasUser, hasGroup } = this.#machine;
    if (hasUser) return;
    const group = hasGroup ? ['--no-user-group', '--gid', SERVICE_USER] : ['--user-group'];
    const home = ['--home-dir', `/var/lib/${STATE}`, '--no-create-home', '--shell', '/usr/sbin/nologin'];
    this.#steps.push({
      kind: 'command',
      command: ['useradd', '--system', ...group, ...home, SERVICE_USER],
      undo: ['userdel', SERVICE_USER],
    });
  }

  /** With what is missing above it, so that a plan shows all that it makes, and takes it back. */
  #folder(path: string, mode: number, owner: Owner = ROOT): void {
    this.#missing(dirname(path));
    this.#steps.push({ kind: 'folder', path, mode, ...this.#owned(owner) });
  }

  /** The folder and those above it, as far as they are neither there nor planned. */
  #missing(path: string): void {
    const planned = this.#steps.some((step) => step.kind === 'folder' && step.path === path);
    if (planned || !this.#machine.missingFolders.includes(path)) return;
    this.#folder(path, 0o755);
  }

  /** In a folder of one's own, all is one's own. */
  #owned(owner: Owner): { owner?: Owner } {
    return this.#system ? { owner } : {};
  }

  #key({ path, key, profile }: KeyFile): void {
    this.#steps.push({
      kind: 'file',
      path,
      mode: this.#system ? 0o640 : 0o600,
      ...this.#owned({ user: 'root', group: SERVICE_USER }),
      content: credentialsFile(key, profile),
      secret: true,
      existing: 'replace',
    });
  }

  async #conf(folder: string, changes: ConfChanges, existing: string | undefined): Promise<string> {
    const path = join(folder, 'conf');
    const content = await changedConf(existing, path, changes);
    this.#steps.push({
      kind: 'file',
      path,
      mode: 0o644,
      ...this.#owned(ROOT),
      content,
      existing: 'keep-beside',
    });
    return content;
  }

  async #examples(confDir: string): Promise<void> {
    for (const [folder, template] of [
      ['pickers.d', 'picker.example'],
      ['snapshots.d', 'snapshotter.example'],
    ] as const) {
      this.#folder(join(confDir, folder), 0o755);
      this.#steps.push({
        kind: 'file',
        path: join(confDir, folder, 'example'),
        mode: 0o644,
        ...this.#owned(ROOT),
        content: await readTemplate(template),
        existing: 'keep',
      });
    }
  }

  /** Only who backs up gets at what is stored. */
  #store(path: string): void {
    this.#missing(dirname(path));
    const owner = { user: SERVICE_USER, group: SERVICE_USER };
    this.#steps.push({ kind: 'store', path, mode: 0o700, ...this.#owned(owner) });
  }

  /** Retention and classes are those of the backups, so their conf is the pattern for this one. */
  async #renewal(key: KeyFile | undefined, pattern: string): Promise<void> {
    const { confDir, changes } = this.#options;
    const folder = join(confDir, RENEW_FOLDER);
    this.#folder(folder, 0o755);
    if (key !== undefined) this.#key(key);
    const credentials =
      key === undefined
        ? changes.credentials
        : ({ kind: 'file', path: key.path, profile: undefined } as const);
    const own = { ...changes, credentials, statePath: undefined };
    await this.#conf(folder, own, this.#machine.renewConf ?? pattern);
  }

  async #units(units: PlannedUnits): Promise<void> {
    const { confDir, changes, renewal } = this.#options;
    const settings: UnitSettings = {
      unit: units.name,
      program: units.program,
      confDir,
      user: SERVICE_USER,
      state: STATE,
      readWrite: changes.store.kind === 'directory' ? [changes.store.path] : [],
      window: units.window,
    };
    const timers = [units.name];
    this.#missing(units.folder);
    this.#unitFiles(units.folder, await archiveUnits(settings));
    if (renewal !== undefined) {
      const own = { ...settings, unit: `${units.name}-renew`, state: `${STATE}-renew`, readWrite: [] };
      const memory = `/var/lib/${own.state}/memory`;
      const command = ['renew', '--conf-dir', join(confDir, RENEW_FOLDER), '--memory', memory];
      this.#unitFiles(
        units.folder,
        await upkeepUnits(own, 'Renew the locks of all backups in the bucket', command),
      );
      timers.push(own.unit);
    }
    if (changes.store.kind === 'directory') {
      const own = { ...settings, unit: `${units.name}-expire`, state: `${STATE}-expire` };
      const command = ['expire', '--directory', changes.store.path];
      this.#unitFiles(
        units.folder,
        await upkeepUnits(own, 'Remove what has lapsed from the backups', command),
      );
      timers.push(own.unit);
    }
    if (this.#machine.systemd) this.#steps.push(...systemctl(timers, units.start));
  }

  #unitFiles(folder: string, files: ReadonlyMap<string, string>): void {
    this.#steps.push(
      ...[...files].map(
        ([name, content]): Step => ({
          kind: 'file',
          path: join(folder, name),
          mode: 0o644,
          ...this.#owned(ROOT),
          content,
          existing: 'replace',
        }),
      ),
    );
  }
}

function systemctl(timers: readonly string[], start: boolean): CommandStep[] {
  const reload = ['systemctl', 'daemon-reload'];
  const enable = timers.map(
    (timer): CommandStep => ({
      kind: 'command',
      command: ['systemctl', 'enable', '--now', `${timer}.timer`],
      undo: ['systemctl', 'disable', '--now', `${timer}.timer`],
    }),
  );
  return [{ kind: 'command', command: reload, undo: reload }, ...(start ? enable : [])];
}
