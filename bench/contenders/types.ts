import type { Command } from '../measure/command.js';
import type { NotKept } from '../trees/compare.js';
import type { Tree } from '../trees/tree.js';

/** Where a contender stores: an empty folder, or an empty bucket of a server on this machine. */
export type Place = { kind: 'directory'; path: string } | ({ kind: 's3' } & S3Place);

export interface S3Place {
  endpoint: string;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** One program in one configuration. */
export interface Contender {
  /** As in tables: `restic`, `borg lz4`. */
  name: string;
  /** In its own words. */
  version: string;
  /** This project's: what the others are compared with. */
  isOwn: boolean;
  /** What is the same and what not: compression, encryption. */
  how: string;
  places: readonly Place['kind'][];
  /** The bucket has to be made with Object Lock. */
  needsObjectLock?: boolean;
  /** Of a tree, so far as a restore is compared with it. */
  notKept?: NotKept;
  /** `scratch`: an empty folder for caches and the like. Nothing is run. */
  open(place: Place, scratch: string): Repository;
}

/** A contender's store of one trial. */
export interface Repository {
  /** Makes it; never timed. */
  init: readonly Command[];
  backup(tree: Tree): Command;
  /** The last backup, whole, into an empty folder. Absent where there is no such thing. */
  restore?: (tree: Tree, target: string) => Command;
  /** Commands that have little to do, by what they are. */
  small?: Readonly<Record<string, Command>>;
  /** Where below the target a tree comes back. */
  restored?: (tree: Tree, target: string) => string;
}

/** A kind of program that can be there or not. */
export interface Peer {
  /** As `--peers` names it. */
  name: string;
  /** What to type where it is missing. */
  howToGet: string;
  /** The program, as the shell finds it; undefined for a peer made of what every system has. */
  program?: string;
  /** The configurations to run, given the executable's path. */
  contenders(program: string): Contender[];
}
