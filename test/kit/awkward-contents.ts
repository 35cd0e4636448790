import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, lutimesSync, openSync, symlinkSync, utimesSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { asRoot } from './programs.js';
import type { TreeSection } from './tree-section.js';

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed = 'noise'): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest();
}

/** Sizes around a block, holes, content that compresses and that does not, the same content many times. */
export function makeContents(section: TreeSection, blockSize: number): void {
  for (const size of [
    0,
    1,
    2,
    4095,
    4096,
    blockSize - 1,
    blockSize,
    blockSize + 1,
    blockSize * 3,
    blockSize * 3 + 7,
  ]) {
    section.file(`noise ${size}`, noise(size));
    section.file(`text ${size}`, Buffer.alloc(size, 'a line of a log file\n'));
    section.file(`zeros ${size}`, Buffer.alloc(size));
  }
  section.file('gzip', gzipSync('already compressed '.repeat(5000)));
  section.file('half and half', Buffer.concat([noise(blockSize), Buffer.alloc(blockSize)]));
  section.file('a block twice', Buffer.concat([noise(blockSize), noise(blockSize), noise(3)]));
  section.file(
    'blocks in turn',
    Buffer.concat([noise(blockSize, 'a'), noise(blockSize, 'b'), noise(blockSize, 'a')]),
  );
  sparse(section, 'hole at the end', blockSize * 10, [0]);
  sparse(section, 'hole at the start', blockSize * 10, [blockSize * 10 - 5]);
  sparse(section, 'holes between', blockSize * 20, [5000, blockSize * 7 - 2, blockSize * 13]);
  sparse(section, 'nothing but a hole', blockSize * 30, []);
  const alike = section.folder('alike');
  for (let index = 0; index < 50; index++) alike.file(String(index), noise(5000));
  section.folder('empty folder');
  section.folder('empty folders').folder('in each').folder('other');
}

/** Modification times with nanoseconds, before 1970 and far ahead, of files, folders and symlinks. */
export function makeTimes(section: TreeSection): void {
  const times = [
    0, 1, -1, -0.5, -1_000_000_000, 1_600_000_000.123_456, 0x7fff_ffff, 0x8000_0000, 13_000_000_000,
  ];
  for (const time of times) {
    utimesSync(section.file(`file ${time}`, 'x'), time, time);
    symlinkSync('x', section.at(`link ${time}`));
    lutimesSync(section.at(`link ${time}`).toString(), time, time);
    const folder = section.folder(`folder ${time}`);
    folder.file('inside', 'x');
    utimesSync(folder.path, time, time);
  }
  // Node's times are floating point; touch has all nine digits.
  section.run('touch', '-d', '2001-02-03 04:05:06.123456789 UTC', section.file('nine digits', 'x'));
  section.run('touch', '-d', '1931-02-03 04:05:06.000000001 UTC', section.file('before 1970', 'x'));
  section.run('touch', '-d', '2001-02-03 04:05:06.999999999 UTC', section.folder('folder').path);
}

/** What is no file, folder or symlink. Returns their names: they are noted and skipped, and never opened. */
export function makeSpecialFiles(section: TreeSection): string[] {
  const names = ['fifo', 'socket'];
  section.run('mkfifo', section.at('fifo'));
  // Its process goes without a word, and the socket stays.
  const listen = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`;
  const failures = section.left.length;
  section.run('node', '-e', listen, section.at('socket'));
  section.left.length = failures;
  if (asRoot) {
    section.run('mknod', section.at('char'), 'c', '1', '3');
    section.run('mknod', section.at('block'), 'b', '7', '250');
    names.push('char', 'block');
  } else section.left.push('devices');
  section.file('beside them', 'x');
  return names;
}

function sparse(section: TreeSection, name: string, size: number, dataAt: readonly number[]): void {
  const fd = openSync(section.at(name), 'w', 0o644);
  for (const at of dataAt) writeSync(fd, 'data', at);
  ftruncateSync(fd, size);
  closeSync(fd);
}
