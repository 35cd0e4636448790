import type { Encoding } from '../config/compression.js';
import type { MetadataFailure, WantedMetadata } from '../files/apply.js';
import type { BytePath } from '../files/byte-path.js';

/** A file for a thread to write. */
export interface SmallFile {
  /** The open folder it goes in. Descriptors are the process's, so every thread may use them. */
  folder: number;
  name: BytePath;
  /** What it is called until it is complete. */
  temporary: BytePath;
  /** How its stored bytes are encoded, where they come along. */
  enc: Encoding | undefined;
  /** How messages call the object, where its bytes come along. */
  what: string;
  size: number;
  sha: string;
  wanted: WantedMetadata;
  /** Whether the inode's id is asked for. */
  wantsInode: boolean;
  /** What it is made of, for the thread to read from the store's directory; undefined: the stored bytes come along. */
  parts?: readonly LocalPart[] | undefined;
}

/** An object version, or a member of a bundle. */
export interface LocalPart {
  key: string;
  ver: string;
  enc: Encoding | undefined;
  /** Where in a bundle it is. */
  off: number | undefined;
  len: number | undefined;
  /** Unencoded. */
  size: number;
  /** How many times in a row it stands there. */
  times: number;
}

/** Of a file that is in its place. */
export interface WrittenFile {
  inodeId: string | undefined;
  notSet: MetadataFailure[];
}

/** Of a file of which nothing is left. */
export type WriteFailure =
  /** The bytes are not those that were backed up. */
  | { is: 'damaged'; message: string }
  | { is: 'refused'; errno: string; message: string }
  /** The thread could not read the stored bytes: why not is for the store to say. */
  | { is: 'unread' }
  /** What should not happen. */
  | { is: 'failed'; message: string };

/** What became of the files of one batch, in their order. Undefined: written, and there is nothing more to say. */
export interface SmallFilesDone {
  id: number;
  /** How often something was read from the store. */
  reads: number;
  results: (WrittenFile | WriteFailure | undefined)[];
}
