import type { Encoding } from '../config/compression.js';
import type { MetadataFailure, WantedMetadata } from '../files/apply.js';
import type { BytePath } from '../files/byte-path.js';

/** A file short enough to be held whole: what a thread needs to write it. */
export interface SmallFile {
  /** The open folder it goes in. Descriptors are the process's, so every thread may use them. */
  folder: number;
  name: BytePath;
  /** What it is called until it is complete. */
  temporary: BytePath;
  enc: Encoding | undefined;
  /** How messages call the object. */
  what: string;
  size: number;
  sha: string;
  wanted: WantedMetadata;
  /** Whether the inode's id is asked for. */
  wantsInode: boolean;
}

/** Several files for one thread. Those encoded with gzip come first, their stored bytes without gaps. */
export interface SmallFiles {
  id: number;
  files: SmallFile[];
  /** The stored bytes, file after file. */
  bytes: Uint8Array;
  /** How many of them are each file's. */
  lengths: number[];
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
  /** What should not happen. */
  | { is: 'failed'; message: string };

/** What became of the files of one batch, in their order. Undefined: written, and there is nothing more to say. */
export interface SmallFilesDone {
  id: number;
  results: (WrittenFile | WriteFailure | undefined)[];
}
