import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Output } from '../measure/command.js';
import { quoted } from '../measure/command.js';
import type { Tree } from '../trees/tree.js';
import type { Contender, Place } from './types.js';
import { versionOf } from './version.js';

export interface OwnBuild {
  /** As in tables; empty: this tree's. */
  label: string;
  /** `dist/cli/main.js`. */
  main: string;
  /** The Node.js that runs it. */
  node: string;
}

export interface OwnSettings {
  compression: string;
  /** Lines of `[content]`. */
  content: readonly string[];
}

/** Of the backups. */
const NAME = 'bench';

/** This project's program, as it is built. */
export function sysbackup(build: OwnBuild, settings: OwnSettings): Contender {
  const { node, main } = build;
  const run = (scratch: string, args: string[], more: Omit<Command, 'argv'> = {}): Command => ({
    argv: [node, main, ...args, '--conf-dir', join(scratch, 'conf')],
    ...more,
  });
  return {
    name: ['s3-sysbackup', build.label, settings.compression].filter((word) => word !== '').join(' '),
    version: `${versionOf(node, main, '--version')} on Node.js ${versionOf(node, '--version')}`,
    isOwn: true,
    how: [`compression = ${settings.compression}`, ...settings.content].join(', '),
    places: ['directory', 's3'],
    needsObjectLock: true,
    open: (place, scratch) => {
      writeConf(join(scratch, 'conf'), place, scratch, settings);
      const env = place.kind === 's3' ? credentials(place) : {};
      return {
        init: [],
        backup: (tree) => {
          const picker = join(scratch, 'conf', 'pickers.d', 'tree');
          writeFileSync(picker, `#!/bin/sh\nexec find ${quoted(tree.path)} -xdev -print0\n`, { mode: 0o755 });
          return run(scratch, ['archive', '--name', NAME, '--json'], { env, check: hasAllFiles(tree) });
        },
        restore: (_, target) => run(scratch, ['restore', NAME, '--target', target], { env }),
        small: {
          '--help': { argv: [node, main, '--help'] },
          '--version': { argv: [node, main, '--version'] },
          list: run(scratch, ['list'], { env }),
        },
        restored: (tree, target) => join(target, tree.path),
      };
    },
  };
}

function hasAllFiles(tree: Tree): (output: Output) => void {
  return ({ stdout }) => {
    const summary = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null') as { counts?: { f?: number } };
    const found = summary.counts?.f;
    if (found !== tree.files) throw new Error(`it saw ${found} files of ${tree.files}`);
  };
}

function writeConf(folder: string, place: Place, scratch: string, settings: OwnSettings): void {
  for (const name of ['pickers.d', 'snapshots.d']) mkdirSync(join(folder, name), { recursive: true });
  const destination =
    place.kind === 'directory'
      ? ['[directory]', `path = ${place.path}`]
      : ['[s3]', `bucket = ${place.bucket}`, `endpoint_url = ${place.endpoint}`, `region = ${place.region}`];
  const lines = [
    ...destination,
    '[content]',
    `compression = ${settings.compression}`,
    ...settings.content,
    '[state]',
    `path = ${join(scratch, 'state')}`,
  ];
  writeFileSync(join(folder, 'conf'), `${lines.join('\n')}\n`);
}

function credentials(place: { accessKeyId: string; secretAccessKey: string }): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: place.accessKeyId, AWS_SECRET_ACCESS_KEY: place.secretAccessKey };
}
