import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AwkwardTree, makeAwkwardTree } from '../kit/awkward-tree.js';
import { runProgram } from '../kit/built-program.js';
import { differences } from '../kit/compare-trees.js';
import { ConfFolder } from '../kit/conf-folder.js';
import { asRoot, installPrograms } from '../kit/programs.js';

const BLOCK = 64 * 1024;
const PROGRAMS = ['rsync', 'setfacl', 'setfattr', 'setcap', 'tar'];
const READERS = [
  {
    name: 'GNU tar',
    command: ['tar', '--acls', '--xattrs', '--xattrs-include=*', '-xpf'],
    // It takes names as they are whether it knows this keyword or not, and finds times in the future worth a word.
    says: /^tar: (?:Ignoring unknown extended header keyword 'hdrcharset'|.*: (?:time stamp .* in the future|implausibly old time stamp .*)|acl_set_file_at: .*: File name too long)$/,
    cannot: [],
  },
  {
    name: 'bsdtar',
    command: ['bsdtar', '-xpf'],
    says: /^$/,
    // Ids above 2^31 in ACLs; fractions of seconds before 1970; `=` in names of attributes.
    cannot: ['acls/many', 'times/before 1970', 'xattrs/name'],
  },
];

async function archived(): Promise<{ backup: ConfFolder; tree: AwkwardTree }> {
  const backup = ConfFolder.make();
  const tree = makeAwkwardTree(backup.at('tree'), { blockSize: BLOCK, ordinary: 200 });
  expect(tree.left).toEqual([]);
  backup.conf(undefined, `[content]\nblock_size = ${BLOCK}\nbundle_below = 4096\n`);
  backup.picker('tree', `find '${tree.root}' -print0`);
  await runProgram(['archive', '--conf-dir', backup.confDir]);
  return { backup, tree };
}

describe.skipIf(!asRoot)('a tar of a backup, unpacked with nothing different by rsync (root)', () => {
  beforeAll(() => {
    expect(installPrograms([...PROGRAMS])).toEqual([]);
    if (spawnSync('bsdtar', ['--version']).status !== 0) installPrograms(['libarchive-tools']);
    expect(spawnSync('bsdtar', ['--version']).status).toBe(0);
  });

  it.each(READERS)('by $name', async ({ command: [program = '', ...args], says, cannot }) => {
    const { backup, tree } = await archived();
    const file = backup.at('all.tar');
    const ended = await runProgram(['restore', '--conf-dir', backup.confDir, '--to-tar', file]);
    expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining(file)]);
    const target = backup.at('target');
    mkdirSync(target);
    for (const locale of ['C', 'C.UTF-8']) {
      const unpacked = spawnSync(program, [...args, file, '-C', target], {
        env: { ...process.env, LC_ALL: locale },
      });
      const said = unpacked.stderr
        .toString('latin1')
        .split('\n')
        .filter((line) => line !== '' && !says.test(line));
      expect([locale, unpacked.status, said]).toEqual([locale, 0, []]);
      const found = differences(tree.root, join(target, tree.root));
      expect(found.map(({ path }) => path).sort()).toEqual([...tree.special, ...cannot].sort());
      execFileSync('rm', ['-rf', target]);
      mkdirSync(target);
    }
  });
});
