import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Gatherer } from '#src/archive/gather.js';
import { PickedPaths } from '#src/archive/picked-paths.js';
import type { Problem } from '#src/events.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { lstatPacked } from '#src/files/stat-batch.js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

/** As a picker's paths are taken: all of them looked at first. */
function pickAll(gatherer: Gatherer, picks: readonly BytePath[]): void {
  const paths = PackedPaths.of(picks);
  const stats = lstatPacked(paths.bytes, paths.ends);
  for (const [index, path] of picks.entries()) gatherer.pick(path, 'test', stats, index);
}

/** What is taken below `root` for some picked paths, and which problems are reported. */
function gather(
  root: string,
  picks: readonly string[],
  startedNs = BigInt(Date.now() + 60_000) * 1_000_000n,
) {
  const picked = new PickedPaths(temporaryFolder());
  const problems: Problem[] = [];
  const gatherer = new Gatherer(picked, (problem) => problems.push(problem), startedNs);
  pickAll(gatherer, picks.map(pathFromText));
  const taken = [...picked.batches()].flatMap((batch) => batch.paths);
  return {
    taken: taken.filter((path) => path.startsWith(`${root}/`)).map((path) => path.slice(root.length + 1)),
    paths: taken,
    problems,
  };
}

describe('Gatherer', () => {
  it('takes all folders above a picked path, from / on', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'a/b'), { recursive: true });
    writeFileSync(join(root, 'a/b/file'), '');
    const { taken, paths } = gather(root, [join(root, 'a/b/file')]);
    expect(taken).toEqual(['a', 'a/b', 'a/b/file']);
    expect(paths[0]).toBe('/');
  });

  it('takes a picked folder itself, not what is in it', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'a'));
    writeFileSync(join(root, 'a/inside'), '');
    expect(gather(root, [join(root, 'a'), `${root}/a/`]).taken).toEqual(['a']);
  });

  it('takes each link of a chain and the file at its end; relative targets count from the link’s folder', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'x/y'), { recursive: true });
    writeFileSync(join(root, 'end'), '');
    symlinkSync('../../end', join(root, 'x/y/second'));
    symlinkSync('x/y/second', join(root, 'first'));
    expect(gather(root, [join(root, 'first')]).taken).toEqual(['end', 'first', 'x', 'x/y', 'x/y/second']);
  });

  it('stores a path through a symlinked folder as the link and the file at its real path', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'real'));
    writeFileSync(join(root, 'real/file'), '');
    symlinkSync('real', join(root, 'link'));
    symlinkSync(join(root, 'link'), join(root, 'link-to-link'));
    expect(gather(root, [join(root, 'link-to-link/file')]).taken).toEqual([
      'link',
      'link-to-link',
      'real',
      'real/file',
    ]);
  });

  it('takes a link that points nowhere as it is', () => {
    const root = temporaryFolder();
    symlinkSync('nothing/here', join(root, 'dangling'));
    const { taken, problems } = gather(root, [join(root, 'dangling')]);
    expect(taken).toEqual(['dangling']);
    expect(problems).toEqual([]);
  });

  it('reports a loop of links, at the end of a path and in the middle of it', () => {
    const root = temporaryFolder();
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    symlinkSync('self', join(root, 'self'));
    const { taken, problems } = gather(root, [join(root, 'a'), join(root, 'self/below')]);
    expect(taken).toEqual(['a', 'b', 'self']);
    expect(problems.map(({ code }) => code)).toEqual(['symlink-loop', 'symlink-loop']);
    // Of the first there is no more to store than the links; what is behind the second was asked for and is not there.
    expect(problems.map(({ severity }) => severity)).toEqual(['note', 'failure']);
  });

  it('only notes a link whose target cannot exist, by whichever link it is come by', () => {
    const root = temporaryFolder();
    symlinkSync('x'.repeat(256), join(root, 'name'));
    symlinkSync(`${'x/'.repeat(2040)}x`, join(root, 'path'));
    symlinkSync('name', join(root, 'to-name'));
    symlinkSync('self/below', join(root, 'through'));
    symlinkSync('self', join(root, 'self'));
    const picks = ['to-name', 'name', 'path', 'through', 'self'];
    const { taken, problems } = gather(
      root,
      picks.map((name) => join(root, name)),
    );
    expect(taken).toEqual(picks.toSorted());
    expect(new Set(problems.map(({ severity }) => severity))).toEqual(new Set(['note']));
    expect(problems.map(({ path }) => path)).toContain(join(root, 'to-name'));
  });

  it('follows no link into what is the kernel’s, and takes there what is picked itself', () => {
    const root = temporaryFolder();
    const targets = {
      mtab: '/proc/self/mounts',
      dots: `${'../'.repeat(20)}proc/self/mounts`,
      chain: 'mtab',
      folder: '/proc',
      through: 'folder/cpuinfo',
      'out-again': `/proc/self/root${root}/file`,
      class: '/sys/class',
      null: '/dev/null',
      none: '/proc/no/such/thing',
    };
    writeFileSync(join(root, 'file'), '');
    for (const [name, target] of Object.entries(targets)) symlinkSync(target, join(root, name));
    const links = Object.keys(targets).toSorted();
    const { taken, paths, problems } = gather(
      root,
      links.map((name) => join(root, name)),
    );
    expect(taken).toEqual(links);
    expect(paths.filter((path) => /^\/(?:proc|sys|dev)\b/.test(path))).toEqual([]);
    expect(problems).toEqual([]);

    const picked = ['/proc/cpuinfo', join(root, 'folder/meminfo'), join(root, 'through')];
    for (const order of [picked, picked.toReversed()]) {
      const all = gather(root, order);
      expect(all.taken).toEqual(['folder', 'through']);
      expect(all.paths.filter((path) => path.startsWith('/proc'))).toEqual([
        '/proc',
        '/proc/cpuinfo',
        '/proc/meminfo',
      ]);
    }
  });

  it('follows a link to a file system with files that is mounted among devices', () => {
    const root = temporaryFolder();
    const shared = mkdtempSync('/dev/shm/sysbackup-');
    onTestFinished(() => rmSync(shared, { recursive: true }));
    writeFileSync(join(shared, 'file'), '');
    symlinkSync(join(shared, 'file'), join(root, 'link'));
    expect(gather(root, [join(root, 'link')]).paths).toContain(join(shared, 'file'));
  });

  it('reports a loop once, whichever of its links are picked, and however often', () => {
    const root = temporaryFolder();
    symlinkSync('b', join(root, 'a'));
    symlinkSync('a', join(root, 'b'));
    const { taken, problems } = gather(root, [join(root, 'a'), join(root, 'b'), join(root, 'a')]);
    expect(taken).toEqual(['a', 'b']);
    expect(problems.map(({ code }) => code)).toEqual(['symlink-loop']);
  });

  it('resolves dots and repeated slashes as the kernel does: .. behind a link is the real folder’s parent', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'p/q'), { recursive: true });
    writeFileSync(join(root, 'p/file'), '');
    symlinkSync('p/q', join(root, 'link'));
    expect(gather(root, [`${root}//link/./../file`]).taken).toEqual(['link', 'p', 'p/file', 'p/q']);
  });

  it('notes special files and does not take them', () => {
    const root = temporaryFolder();
    execFileSync('mkfifo', [join(root, 'fifo')]);
    symlinkSync('fifo', join(root, 'link'));
    const { taken, problems } = gather(root, [
      join(root, 'fifo'),
      join(root, 'fifo'),
      join(root, 'link'),
      '/dev/null',
    ]);
    expect(taken).toEqual(['link']);
    expect(problems.map(({ severity, code }) => [severity, code])).toEqual([
      ['note', 'special-file'],
      ['note', 'special-file'],
    ]);
  });

  it('takes all paths of one inode', () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'one'), 'x');
    linkSync(join(root, 'one'), join(root, 'two'));
    expect(gather(root, [join(root, 'two'), join(root, 'one')]).taken).toEqual(['one', 'two']);
  });

  it('calls a path that never was there a failure, and one whose folder changed meanwhile vanished', () => {
    const root = temporaryFolder();
    const never = gather(root, [join(root, 'typo'), join(root, 'no/such/folder')]);
    expect(never.problems.map(({ severity, code }) => [severity, code])).toEqual([
      ['failure', 'missing'],
      ['failure', 'missing'],
    ]);
    const { problems } = gather(root, [join(root, 'gone')], BigInt(Date.now() - 60_000) * 1_000_000n);
    expect(problems.map(({ severity, code }) => [severity, code])).toEqual([['note', 'vanished']]);
  });

  it('calls a path that was missing last time too a failure, however busy its folder is', () => {
    const root = temporaryFolder();
    const picked = new PickedPaths(root);
    const problems: Problem[] = [];
    const path = pathFromText(join(root, 'typo'));
    const other = pathFromText(join(root, 'other'));
    const gatherer = new Gatherer(picked, (problem) => problems.push(problem), 0n, [path]);
    pickAll(gatherer, [path, other]);

    expect(problems.map(({ severity }) => severity)).toEqual(['failure', 'note']);
    expect(gatherer.missing).toHaveLength(2);
  });

  it('says what stands in a path where a folder should', () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), '');
    const { taken, problems } = gather(root, [join(root, 'file/below')]);
    expect(taken).toEqual([]);
    expect(problems.map(({ code }) => code)).toEqual(['missing']);
  });

  it('refuses a path longer than the system takes, without an exception', () => {
    const root = temporaryFolder();
    const { problems } = gather(root, [`${root}/${'long/'.repeat(12_000)}x`]);
    expect(problems.map(({ code }) => code)).toEqual(['too-long']);
  });
});
