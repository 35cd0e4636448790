import type { Command } from 'commander';
import type { Session } from '../session.js';

/** A command: what it takes and what it does. */
export interface CommandModule {
  /** Adds its arguments, options and examples. */
  define(command: Command): void;
  /** Does it, and resolves with the exit code. Throws SysbackupError. */
  run(command: Command, session: Session): Promise<number>;
}

export interface CommandEntry {
  name: string;
  /** Half a line for the main help. */
  summary: string;
  /** Loaded when the command is named: `--help` and each command pay for their own modules only. */
  load: () => Promise<CommandModule>;
}

/** In the order in which the help lists them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'archive',
    summary: 'back up: one run, from pickers and snapshotters to a manifest',
    load: () => import('./archive.js'),
  },
  {
    name: 'list',
    summary: 'list the backups in a store',
    load: () => import('./list.js'),
  },
  {
    name: 'ls',
    summary: 'list what is in a run',
    load: () => import('./ls.js'),
  },
  {
    name: 'diff',
    summary: 'show what changed from one run to another',
    load: () => import('./diff.js'),
  },
  {
    name: 'cat',
    summary: "print one file's or snapshot's content",
    load: () => import('./cat.js'),
  },
  {
    name: 'restore',
    summary: 'bring files and snapshots of a run back',
    load: () => import('./restore.js'),
  },
  {
    name: 'verify',
    summary: 'check that everything is there and locked, and unharmed',
    load: () => import('./verify.js'),
  },
  {
    name: 'renew',
    summary: 'move out the locks of all backups that must stay',
    load: () => import('./renew.js'),
  },
  {
    name: 'rebuild-catalog',
    summary: "read this machine's memory back after it was lost",
    load: () => import('./rebuild-catalog.js'),
  },
  {
    name: 'check-config',
    summary: 'show the settings in force, and what would run',
    load: () => import('./check-config.js'),
  },
  {
    name: 'create-resources',
    summary: 'make a bucket that locks, and roles, in AWS',
    load: () => import('./create-resources.js'),
  },
  {
    name: 'update-resources',
    summary: 'change what create-resources made, or bring it to this version',
    load: () => import('./update-resources.js'),
  },
  {
    name: 'write-config',
    summary: 'make this machine one that backs up: conf, credentials, timer',
    load: () => import('./write-config.js'),
  },
  {
    name: 'expire',
    summary: 'remove from a directory store what has lapsed',
    load: () => import('./expire.js'),
  },
];
