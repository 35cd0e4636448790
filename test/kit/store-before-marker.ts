import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readHead, writeHead } from '#src/catalog/objects-file.js';
import { StateFolder } from '#src/catalog/state-folder.js';

const ARCHIVE = fileURLToPath(new URL('../fixtures/store-before-marker.tar.gz', import.meta.url));
const MADE_AT = 'directory:/tmp/before-marker/store';

/** The backup name of the run in it. */
export const BEFORE_MARKER = 'web1-backup';
/** The contents of the files that it holds: three in a bundle, one an object of its own. */
export const CONTENTS_BEFORE_MARKER = [
  'small file 1\n',
  'small file 2\n',
  'small file 3\n',
  'x'.repeat(3000),
];

/**
 * Puts `store` and `state` into a folder as 0.1.0 left them before there were markers, after one run with
 * `bundle_below = 2K`. Only the path of the store, which its identity is, is changed to what it is here.
 */
export function unpackBeforeMarker(folder: string): { store: string; state: string } {
  execFileSync('tar', ['xzf', ARCHIVE, '--no-same-owner', '-C', folder]);
  const [store, state] = [join(folder, 'store'), join(folder, 'state')];
  const identity = `directory:${store}`;
  const path = StateFolder.pathOf(state, identity, BEFORE_MARKER);
  renameSync(StateFolder.pathOf(state, MADE_AT, BEFORE_MARKER), path);
  const head = join(path, readFileSync(join(path, 'current'), 'utf8').trim(), 'head');
  writeHead(head, { ...readHead(head), store: identity });
  return { store, state };
}
