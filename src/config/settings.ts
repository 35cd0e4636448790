import type { Encoding, GzipLibrary } from './compression.js';

/** Everything a run needs to know, validated. Built by `loadSettings` from a conf, or by hand. */
export interface Settings {
  /** Folder with `pickers.d` and `snapshots.d`. */
  confDir: string;
  /** Whose backups these are. Default `<hostname>-backup`. */
  backupName: string;
  /** Whether nobody chose that name, so that a new host name changes it. */
  backupNameIsDefault?: boolean;
  /** What to store in. `s3` may leave the bucket open, for CloudFormation to name. */
  destination: { kind: 'directory'; path: string } | { kind: 's3'; s3: S3Settings };
  content: ContentSettings;
  /** Days that a run standing for a week, month or year is kept; undefined: no such class. */
  classes: { weekly?: number; monthly?: number; yearly?: number };
  programs: {
    /** Seconds after which a picker or snapshotter is stopped; undefined: never. */
    timeout: number | undefined;
    /** Pickers that may print nothing, or far less than last time, and snapshotters that may write nothing. */
    allowEmpty: readonly string[];
  };
  /** The state directory. */
  statePath: string;
}

export interface S3Settings {
  bucket?: string;
  endpointUrl?: string;
  region?: string;
  /** Before every key; empty, or ends in `/`. */
  prefix: string;
  /** For content, bundles and snapshots; manifests stay in STANDARD. */
  storageClass?: string;
  forcePathStyle: boolean;
  /** Whether a bucket without Object Lock is refused. Default true. */
  requireObjectLock: boolean;
  aws: { profile?: string; credentialsFile?: string; roleArn?: string };
  cloudFormation: { region?: string; export: string };
}

export interface ContentSettings {
  /** Seconds to wait for an advisory read lock. Default 2. */
  lockTimeout: number;
  /** Days that what a run stores or uses stays locked. Default 14. */
  daysRetained: number;
  mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Whether versions that other machines stored may be used. Default true. */
  share: boolean;
  /**
   * Bytes; smaller files go into bundles. 0: no bundles. Undefined (default): what this machine's catalog records; without
   * a catalog 1 MiB, but 0 where the store has runs of this backup name and no bundles.
   */
  bundleBelow: number | undefined;
  /** Bytes; longer files are stored as blocks of this length. Default 16 MiB. */
  blockSize: number;
  compression: Encoding | 'none';
  /** Default: 6 for gzip, 3 for zstd. */
  compressionLevel: number;
  /** What compresses with gzip. Default `auto`: libdeflate where the system has it, else Node's zlib. */
  gzipLibrary: GzipLibrary | 'auto';
}
