import type { AwsAccess } from '../aws/access.js';
import type { EventListener } from '../events.js';
import type { PasswordSource } from './ccrypt.js';
import type { Step } from './steps.js';

export interface WriteConfigOptions {
  /** Folder with `conf`, `pickers.d` and `snapshots.d`. Made where it is missing. */
  confDir: string;
  /** As whom AWS is asked, and where. Only making a user takes administrator rights. */
  access: AwsAccess;
  /** Whose stack says which bucket. Default `s3-sysbackup`. */
  packageName?: string | undefined;
  /** Default: the package name. */
  stackName?: string | undefined;
  /** The bucket itself, where no stack is to be asked. */
  bucket?: string | undefined;
  /** A directory store instead of a bucket. Absolute. */
  directory?: string | undefined;
  /** How the machine gets its rights. Undefined: as the conf that is there says, which then must say something. */
  credentials: WantedCredentials | undefined;
  /** Where the encrypted key comes from, or is saved too. */
  encrypted: { path: string; password: PasswordSource } | undefined;
  /** Default: the package's. */
  retainDays?: number | undefined;
  /** Units for systemd; undefined: none. */
  units: WantedUnits | undefined;
  /** Whether this machine renews the locks of the whole bucket. */
  renewTimer: boolean;
  /** Only compute the plan. What AWS and the machine are asked is only looked at. */
  dryRun: boolean;
  /** Of this machine: its backups are called `<hostname>-backup`, unless the conf names them. */
  hostname: string;
  user: { uid: number; home: string };
  env: Readonly<Record<string, string>>;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
  /** Asked before anything is done where that takes more rights than this process has. Throws where it does not agree. */
  agreeToRoot: (steps: readonly Step[]) => Promise<void>;
  /**
   * Carries the plan out where that takes more rights than this process has, all of it or nothing. Throws where it
   * fails.
   */
  carryOutAsRoot: (steps: readonly Step[]) => Promise<void>;
}

export type WantedCredentials =
  /** A new IAM user, whose key goes into a file of the conf's folder. */
  | { kind: 'user'; name: string }
  /** A key that was saved before, in {@link WriteConfigOptions.encrypted}. */
  | { kind: 'encrypted' }
  | { kind: 'profile'; profile: string }
  | { kind: 'ambient' }
  /** Somebody else sees to that: [aws] stays as it is. */
  | { kind: 'unchanged' };

export interface WantedUnits {
  name: string;
  /** Where units belong. Default `/etc/systemd/system`. */
  folder: string;
  /** Program and arguments that begin every command of ours. */
  program: readonly string[];
  windowStart: string;
  windowLength: string;
  /** Whether the timer is started at once. */
  start: boolean;
}

export interface WriteConfigSummary {
  steps: readonly Step[];
  /** Files that were, or would be, written for the one who called, beside the plan: the encrypted key. */
  saved: readonly string[];
  /** IAM users that were made, or would be. */
  users: readonly string[];
  done: boolean;
  scope: 'system' | 'personal';
}
