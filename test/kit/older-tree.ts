import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { asRoot, findProgram } from './programs.js';

/** A tree with one of everything that the older format knows. */
export function makeOlderTree(root: string): void {
  mkdirSync(root, { recursive: true });
  const at = (name: string): string => join(root, name);
  writeFileSync(at('text'), 'compresses well\n'.repeat(500), { mode: 0o640 });
  writeFileSync(at('noise'), randomBytes(5000));
  // Begins as what is encoded does, and is not.
  writeFileSync(at('own.gz'), gzipSync(randomBytes(3000)));
  writeFileSync(at('empty'), '', { mode: 0o600 });
  writeFileSync(at('zeros'), Buffer.alloc(200_000));
  mkdirSync(at('a'));
  mkdirSync(at('a/deep'), { mode: 0o750 });
  // Between a folder and what is in it, in the order of whole paths.
  writeFileSync(at('a-b'), 'between');
  writeFileSync(at('a/deep/first'), 'linked content');
  linkSync(at('a/deep/first'), at('another name'));
  writeFileSync(at('a/empty, twice'), '');
  linkSync(at('a/empty, twice'), at('0 empty, twice'));
  symlinkSync('a/deep', at('link'));
  symlinkSync('/nowhere/at all\n', at('dangling'));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/gr`), Buffer.from([0xfc, 0xdf, 0x0a, 0x65])]), 'latin-1');
  writeFileSync(at('größe 🗄️'), 'unicode');
  writeFileSync(at('tool'), '#!/bin/sh\n');
  mkdirSync(at('drop'));
  if (asRoot) chownSync(at('noise'), 12_345, 54_321);
  chmodSync(at('tool'), 0o6751);
  chmodSync(at('drop'), 0o3777);
  if (findProgram('setfacl') === undefined) return;
  mkdirSync(at('shared'));
  execFileSync('setfacl', ['-m', 'u:daemon:rwx,g:4711:r-x,d:u:daemon:rwx,d:g:4711:r', at('shared')]);
  mkdirSync(at('only default'));
  execFileSync('setfacl', ['-m', 'd:u:daemon:r', at('only default')]);
  execFileSync('setfacl', ['-m', 'u:daemon:rw', at('text')]);
}
