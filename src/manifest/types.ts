import type { Encoding } from '../config/compression.js';
import type { RequestCounts, RunOutcome } from '../events.js';

/**
 * The JSON lines of a manifest, format 2. `docs/format.md` is the reference; field names are its own. What is said to
 * be missing in the older format is always there in format 2: what is read of the older one (see older-format.ts) is
 * given the same form as far as it is known.
 */
export const MANIFEST_FORMAT = 2;
/** What the header of a run in the older format is given. */
export const OLDER_FORMAT = 1;

export type { Encoding };

/** One object version, or a member inside one (`off` and `len`: a bundle). */
export interface ObjectRef {
  key: string;
  ver: string;
  /** How the bytes are encoded; absent: as they were. */
  enc?: Encoding;
  /** In the older format only, in place of `enc`: the object's metadata `storage-encoding` says it. */
  encIn?: 'metadata';
  /** Where the (encoded) bytes begin in a bundle, and how many they are. */
  off?: number;
  len?: number;
}

/** A block of a long file. */
export interface BlockRef extends ObjectRef {
  /** Length of the unencoded block. */
  size: number;
  /** How many times in a row it stands there; absent: once. */
  n?: number;
}

/** null: no bytes at all. A list: the blocks in order. */
export type DataRef = null | ObjectRef | BlockRef[];

interface PathFields {
  /** Absolute path; exactly one of `path` and `path64` is there. */
  path?: string;
  /** Base64 of the path's bytes where they are no valid UTF-8. */
  path64?: string;
}

interface OwnerFields {
  /** Owner and group by name, or by number where no name was found. */
  o: string | number;
  g: string | number;
  /** Missing in the older format where `o`, `g` are names. */
  uid?: number;
  gid?: number;
}

interface ModeFields {
  /** Permission bits with setuid, setgid and sticky, as a number. */
  mode: number;
  /** POSIX ACL in text, lines joined by newlines, default entries with `d:` before them. */
  acl?: string;
  /** Extended attributes without those that hold ACLs: name to base64 of the value. */
  xattr?: Record<string, string>;
}

interface TimeField {
  /**
   * Modification time: decimal seconds since the epoch with nine digits after the point. Missing in the older format.
   */
  mt?: string;
}

export interface DirectoryEntry extends PathFields, OwnerFields, ModeFields, TimeField {
  typ: 'd';
}

export interface SymlinkEntry extends PathFields, OwnerFields, TimeField {
  typ: 'l';
  /** The link's target; exactly one of the two is there. */
  tgt?: string;
  tgt64?: string;
  xattr?: Record<string, string>;
  /** As in {@link FileEntry}: symlinks can have several names too. */
  id?: string;
}

export type FileWarning = 'unlocked-copy' | 'changed-while-reading';

export interface FileEntry extends PathFields, OwnerFields, ModeFields, TimeField {
  typ: 'f';
  dat: DataRef;
  /** SHA-256 of the whole content in hex. */
  sha: string;
  /** Missing in the older format, but for empty files. */
  size?: number;
  /** The same for all paths of one inode on one device; only where it has several links. */
  id?: string;
  w?: FileWarning[];
}

export interface SnapshotEntry {
  typ: 's';
  /** The snapshotter's file name. */
  name: string;
  dat: DataRef;
  /** Missing in the older format. */
  sha?: string;
  /** Missing in the older format where the snapshot is stored encoded. */
  size?: number;
  /** Of a snapshot in blocks: the object under the snapshot's key, JSON that names them. */
  index?: ObjectRef;
  description?: string;
  /** Shell command that restores the snapshot from its standard input. */
  restore_through?: string;
}

export type FileSystemEntry = DirectoryEntry | SymlinkEntry | FileEntry;
export type ManifestEntry = FileSystemEntry | SnapshotEntry;

/** The code of the note for each overlay whiteout, by which a restore knows what its selection lacks. */
export const WHITEOUT_CODE = 'overlay-whiteout';

export interface ProblemLine extends PathFields {
  typ: 'problem';
  severity: 'note' | 'failure' | 'broken';
  code: string;
  message: string;
  source?: string;
}

export type RetentionClass = 'weekly' | 'monthly' | 'yearly';

export interface ManifestHeader {
  typ: 'manifest';
  format: typeof MANIFEST_FORMAT | typeof OLDER_FORMAT;
  /** The backup name. */
  backup: string;
  /** The run id. */
  run: string;
  host: string;
  /** Machine id: derived from the machine's own, not the thing itself. */
  machine: string;
  /** The store's time at the start, ISO 8601 in UTC. */
  start: string;
  /** Program and version that wrote it. */
  tool: string;
  /** What every object named here is locked until at least; null for a store without locks. */
  retention: { mode: 'GOVERNANCE' | 'COMPLIANCE'; until: string } | null;
  /** The classes this run stands for; they count only where the outcome is not broken. */
  classes?: RetentionClass[];
}

export interface ManifestFooter {
  typ: 'end';
  outcome: RunOutcome;
  counts: { d: number; l: number; f: number; s: number; problems: number };
  /** Unencoded bytes of all files and snapshots named (a hard-linked file once per path). */
  bytes: number;
  /** What this run stored anew, the manifest itself not counted. */
  stored: { objects: number; bytes: number };
  /** Requests sent up to the manifest's own PUT. */
  requests: RequestCounts;
  /** SHA-256 in hex of all lines before this one, newlines included. */
  sha256: string;
}

export type ManifestLine = ManifestHeader | ManifestEntry | ProblemLine | ManifestFooter;
