import { join, resolve } from 'node:path';
import { checkUserName, makeUser } from '../aws/backup-user.js';
import { checkParameters, longestLock } from '../aws/resource-parameters.js';
import { checkStackName } from '../aws/stack-name.js';
import { parseConf } from '../config/conf-file.js';
import { type LoadedSettings, settingsFrom } from '../config/load.js';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import { NameService } from '../files/name-service.js';
import { carryOut } from './carry-out.js';
import { encrypt } from './ccrypt.js';
import { checkEncrypted } from './check-encrypted.js';
import type { ConfCredentials } from './conf-text.js';
import { type AccessKey, carriedText } from './credentials-text.js';
import { type MachineFacts, machineFacts } from './machine.js';
import { type PlanOptions, planSteps, RENEW_FOLDER } from './plan.js';
import { putFile } from './put-file.js';
import { serviceWarnings } from './service-access.js';
import type { FileStep, Step } from './steps.js';
import { type StoreFacts, storeFacts } from './store-facts.js';
import { timeWindow } from './time-window.js';
import type { WriteConfigOptions, WriteConfigSummary } from './write-config-options.js';

const KEY_FILE = 'credentials';
const STATE_PATH = '/var/lib/s3-sysbackup';
/** Stands for a key that is not made yet. */
const NO_KEY: AccessKey = { id: '(made then)', secret: '(made then)' };

/** Something done outside this machine's plan, and how to take it back. */
type Undo = () => Promise<void>;

/**
 * Makes this machine one that backs up: conf, credentials, examples, units and the user that they run as. All is
 * looked at and computed first, then done; where a step fails, what was done is taken back, an IAM user too.
 * Throws USAGE, CONFIG, NOT_FOUND, ACCESS_DENIED, SYSTEM, ABORTED.
 */
export async function writeConfig(options: WriteConfigOptions): Promise<WriteConfigSummary> {
  return await new ConfigWriting({ ...options, confDir: resolve(options.confDir) }).run();
}

class ConfigWriting {
  readonly #options: WriteConfigOptions;
  readonly #undo: Undo[] = [];
  readonly #settle: (() => Promise<void>)[] = [];
  readonly #saved: string[] = [];

  constructor(options: WriteConfigOptions) {
    this.#options = options;
  }

  async run(): Promise<WriteConfigSummary> {
    const { confDir, user, dryRun, encrypted } = this.#options;
    const window = this.#checkOptions();
    const { directory, units } = this.#options;
    const machine = await machineFacts(confDir, join(confDir, RENEW_FOLDER), user.uid, [
      ...(directory === undefined ? [] : [directory]),
      ...(units === undefined ? [] : [units.folder]),
    ]);
    this.#checkMachine(machine);
    if (encrypted !== undefined) await checkEncrypted(encrypted, this.#saves, this.#options.env);
    const facts = this.#options.directory === undefined ? await storeFacts(this.#options) : undefined;
    const planned = await this.#plan(machine, facts, window, { backup: facts?.key ?? NO_KEY, renew: NO_KEY });
    const backupName = this.#checkConf(planned, facts);
    await this.#warnOfService(machine);
    const users = this.#users();
    const willBeSaved = this.#saves && encrypted !== undefined ? [encrypted.path] : [];
    if (dryRun) return { steps: planned, saved: willBeSaved, users, done: false, scope: machine.scope };
    if (this.#needsRoot(machine)) await this.#options.agreeToRoot(planned);
    try {
      const keys = await this.#keys(facts, backupName);
      if (facts !== undefined) await this.#saveEncrypted(facts, keys.backup);
      const steps = await this.#plan(machine, facts, window, keys);
      await this.#carryOut(steps, machine);
      return { steps, saved: this.#saved, users, done: true, scope: machine.scope };
    } catch (error) {
      await this.#takeBack();
      throw error;
    }
  }

  /** What can be said without looking at anything. Throws USAGE. */
  #checkOptions(): PlanOptions['units'] {
    const { packageName, stackName, credentials, units, renewTimer, directory, retainDays } = this.#options;
    checkParameters({ packageName, bucketName: undefined });
    if (stackName !== undefined) checkStackName(stackName);
    if (credentials?.kind === 'user') checkUserName(credentials.name);
    if (directory !== undefined && (credentials !== undefined || renewTimer))
      throw new SysbackupError(
        'USAGE',
        'a directory store takes neither credentials nor a timer that renews',
        {
          hint: 'Leave out --directory, or --user, --creds-file, --profile, --ambient-creds and --renew-timer.',
        },
      );
    if (renewTimer && credentials?.kind === 'encrypted')
      throw new SysbackupError('USAGE', 'the key in an encrypted file may only back up, not renew', {
        hint: 'Use --renew-timer with --user, on one machine for the whole bucket.',
      });
    if (retainDays !== undefined && retainDays > 36_500)
      throw new SysbackupError('USAGE', `--retain-days ${retainDays} is more than 36500 days`);
    if (units === undefined) return undefined;
    if (!/^[\w:.@\\-]{1,200}$/.test(units.name))
      throw new SysbackupError('USAGE', `systemd cannot take the unit name ${JSON.stringify(units.name)}`, {
        hint: 'It has letters, digits and any of :-_.\\@',
      });
    return {
      name: units.name.replace(/\.(?:service|timer)$/, ''),
      folder: units.folder,
      program: units.program,
      window: timeWindow(units.windowStart, units.windowLength),
      start: units.start,
    };
  }

  /** Whether the new key goes into an encrypted file too. */
  get #saves(): boolean {
    return this.#options.credentials?.kind === 'user';
  }

  async #warnOfService({ scope, systemd }: MachineFacts): Promise<void> {
    const { units, directory } = this.#options;
    if (scope === 'personal') return;
    for (const message of await serviceWarnings(units?.program ?? [], directory, new NameService()))
      this.#say('warning', message);
    if (units !== undefined && !systemd)
      this.#say('info', 'systemd does not run here: its units are written, and nothing is started');
  }

  #checkMachine({ conf }: MachineFacts): void {
    const { credentials, directory, confDir } = this.#options;
    if (credentials !== undefined || directory !== undefined) return;
    const aws = conf === undefined ? undefined : parseConf(conf, join(confDir, 'conf')).sections.get('aws');
    if (aws === undefined || aws.settings.size === 0)
      throw new SysbackupError('USAGE', 'nothing says as whom this machine is to back up', {
        hint: 'Name a new IAM user with --user, a saved key with --creds-file, a profile with --profile, or the machine’s own role with --ambient-creds.',
      });
  }

  #users(): string[] {
    const { credentials, renewTimer } = this.#options;
    if (credentials?.kind !== 'user') return [];
    return [credentials.name, ...(renewTimer ? [renewerOf(credentials.name)] : [])];
  }

  async #plan(
    machine: MachineFacts,
    facts: StoreFacts | undefined,
    units: PlanOptions['units'],
    keys: { backup: AccessKey; renew: AccessKey },
  ): Promise<Step[]> {
    const { confDir, directory, credentials, retainDays, renewTimer } = this.#options;
    const path = join(confDir, KEY_FILE);
    const hasKey = credentials?.kind === 'user' || credentials?.kind === 'encrypted';
    const store =
      facts === undefined
        ? ({ kind: 'directory', path: directory ?? '' } as const)
        : ({
            kind: 's3',
            bucket: facts.bucket,
            region: facts.region,
            endpointUrl: facts.endpointUrl,
          } as const);
    const renewPath = join(confDir, RENEW_FOLDER, KEY_FILE);
    const steps = await planSteps(
      {
        confDir,
        changes: {
          store,
          credentials: this.#confCredentials(path),
          daysRetained: retainDays ?? (machine.conf === undefined ? facts?.retentionDays : undefined),
          mode: facts?.mode,
          statePath: machine.scope === 'system' ? STATE_PATH : undefined,
        },
        key: hasKey ? { path, key: keys.backup, profile: 'default' } : undefined,
        units: machine.scope === 'system' ? units : undefined,
        renewal: renewTimer
          ? {
              key:
                credentials?.kind === 'user'
                  ? { path: renewPath, key: keys.renew, profile: 'default' }
                  : undefined,
            }
          : undefined,
      },
      machine,
    );
    const conf = steps.filter(isConf).find((step) => step.path === join(confDir, 'conf'));
    if (conf === undefined) return steps;
    const { statePath } = this.#loaded(conf).settings;
    return steps.map((step) => (step.kind === 'store' ? { ...step, statePath } : step));
  }

  #loaded({ path, content }: FileStep): LoadedSettings {
    const { confDir, hostname, user } = this.#options;
    return settingsFrom(parseConf(content, path), { confDir, hostname, user, env: {} });
  }

  #confCredentials(path: string): ConfCredentials {
    const { credentials } = this.#options;
    switch (credentials?.kind) {
      case undefined:
      case 'unchanged':
        return { kind: 'unchanged' };
      case 'user':
      case 'encrypted':
        return { kind: 'file', path, profile: undefined };
      case 'profile':
      case 'ambient':
        return credentials;
    }
  }

  /**
   * The conf must be one that archive takes, and ask for no lock that the bucket refuses. Throws CONFIG.
   * @returns the name under which this machine will back up
   */
  #checkConf(steps: readonly Step[], facts: StoreFacts | undefined): string {
    const { confDir, hostname } = this.#options;
    let backupName = `${hostname}-backup`;
    for (const step of steps) {
      if (!isConf(step)) continue;
      const { settings, warnings } = this.#loaded(step);
      for (const message of warnings) this.#say('warning', message);
      if (step.path === join(confDir, 'conf')) ({ backupName } = settings);
      const needed = longestLock(settings.content.daysRetained, settings.classes);
      const allowed = facts?.maximumLockDays;
      if (allowed !== undefined && needed > allowed)
        throw new SysbackupError(
          'CONFIG',
          `with this conf locks last up to ${needed} days, and the bucket takes ${allowed}`,
          { hint: `Allow it: update-resources --max-lock-days ${needed}; or retain for fewer days.` },
        );
    }
    return backupName;
  }

  async #keys(
    facts: StoreFacts | undefined,
    backupName: string,
  ): Promise<{ backup: AccessKey; renew: AccessKey }> {
    const { credentials, renewTimer, encrypted, access } = this.#options;
    if (credentials?.kind !== 'user') return { backup: facts?.key ?? NO_KEY, renew: NO_KEY };
    throwIfAborted(this.#options.signal);
    const output = (name: string): string => facts?.stack?.outputs.get(name) ?? '';
    const backup = await makeUser(access, {
      name: credentials.name,
      group: output('BackupGroupName'),
      boundary: output('BackupBoundaryArn'),
      // A key that is carried to other machines backs up under their names too.
      backupName: encrypted === undefined ? backupName : undefined,
    });
    this.#undo.unshift(() => this.#unmake(credentials.name, backup.undo));
    this.#say('info', `made the IAM user ${credentials.name} in the group ${output('BackupGroupName')}`);
    if (!renewTimer) return { backup: backup.key, renew: NO_KEY };
    const name = renewerOf(credentials.name);
    const renewer = await makeUser(access, {
      name,
      group: output('RenewGroupName'),
      boundary: output('RenewBoundaryArn'),
      backupName: undefined,
    });
    this.#undo.unshift(() => this.#unmake(name, renewer.undo));
    this.#say('info', `made the IAM user ${name} in the group ${output('RenewGroupName')}`);
    return { backup: backup.key, renew: renewer.key };
  }

  async #saveEncrypted(facts: StoreFacts, key: AccessKey): Promise<void> {
    const { encrypted, env, signal } = this.#options;
    if (encrypted === undefined || !this.#saves) return;
    const bytes = await encrypt(carriedText({ ...facts, key }), {
      password: encrypted.password,
      env,
      signal,
    });
    const { path } = encrypted;
    try {
      const put = await putFile({ path, content: bytes, mode: 0o600, owner: undefined, keepAs: undefined });
      this.#undo.unshift(put.undo);
      this.#settle.push(put.settle);
    } catch (cause) {
      throw new SysbackupError('SYSTEM', `cannot write ${path}: ${messageOf(cause)}`, { cause });
    }
    this.#saved.push(path);
  }

  #needsRoot({ scope }: MachineFacts): boolean {
    return scope === 'system' && this.#options.user.uid !== 0;
  }

  async #carryOut(steps: readonly Step[], machine: MachineFacts): Promise<void> {
    const { env, onEvent, signal, carryOutAsRoot } = this.#options;
    throwIfAborted(signal);
    if (this.#needsRoot(machine)) await carryOutAsRoot(steps);
    else await carryOut(steps, { env, onEvent, signal });
    for (const settle of this.#settle) await settle();
  }

  async #unmake(name: string, undo: Undo): Promise<void> {
    await undo();
    this.#say('info', `removed the IAM user ${name} again`);
  }

  async #takeBack(): Promise<void> {
    for (const undo of this.#undo.splice(0)) {
      try {
        await undo();
      } catch (error) {
        const hint = error instanceof SysbackupError && error.hint !== undefined ? ` ${error.hint}` : '';
        this.#say('error', `${messageOf(error)}.${hint}`);
      }
    }
  }

  #say(level: 'info' | 'warning' | 'error', message: string): void {
    this.#options.onEvent?.({ type: 'log', level, message });
  }
}

function isConf(step: Step): step is FileStep {
  return step.kind === 'file' && step.path.endsWith('/conf');
}

function renewerOf(name: string): string {
  return `${name.slice(0, 58)}-renew`;
}
