import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Content, ContentTaker } from '#src/archive/content-taker.js';
import { ContentRows } from '#src/archive/content-rows.js';
import { ObjectTable } from '#src/catalog/object-table.js';
import { ReadFailure } from '#src/content/read-failure.js';
import type { FileReading } from '#src/content/types.js';
import type { Problem } from '#src/events.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { FileStat, lstat, PACKED_STAT_SIZE } from '#src/files/stat.js';
import { Budget } from '#src/store/concurrency.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../kit/temporary.js';

type Read = (path: BytePath, expected: FileStat) => Promise<FileReading>;

/** Takes files by a reader that does what the test says. */
function taking(read: Read) {
  const problems: Problem[] = [];
  const reads: BytePath[] = [];
  const never = (): never => expect.fail('nothing is stored here');
  const taker = new ContentTaker({
    reader: {
      read: async (path, _handlers, expected) => {
        reads.push(path);
        return await read(path, expected ?? never());
      },
    },
    content: new ContentRows({ known: never, ensure: never, tag: never }, new ObjectTable()),
    budget: new Budget(1 << 30),
    blockSize: 1024,
    flush: () => undefined,
    report: (problem) => problems.push(problem),
    onRead: () => undefined,
  });
  const take = (path: BytePath, stat: FileStat): Promise<Content | undefined> =>
    new Promise((resolve, reject) => taker.take(path, stat, resolve, reject));
  return { take, problems, reads };
}

function readingOf(stat: FileStat): FileReading {
  const sha = Buffer.alloc(32);
  return { stat, sha, size: 0, unlocked: false, changed: false, lasting: true, startedNs: 0n };
}

/** A regular file's stat with many links, of one inode for all, and another size. */
function statOf(size: number): FileStat {
  const bytes = Buffer.alloc(PACKED_STAT_SIZE);
  bytes.writeUInt32LE(10_000, 0);
  bytes.writeUInt16LE(0o100644, 12);
  bytes.writeUInt32LE(42, 16);
  bytes.writeUInt32LE(size, 24);
  return new FileStat(bytes);
}

const pathOf = (name: string | number): BytePath => pathFromText(`/nowhere/${name}`);

function fileIn(folder: string, name: string, content = name): BytePath {
  writeFileSync(join(folder, name), content);
  return pathFromText(join(folder, name));
}

function statNow(path: BytePath): FileStat {
  const stat = lstat(path);
  return typeof stat === 'string' ? expect.fail(stat) : stat;
}

describe('ContentTaker', () => {
  it('reads each of different files that have one inode number, and an inode once for all its names', async () => {
    const { take, reads } = taking(async (_path, stat) => readingOf(stat));
    const sizes = [5, 9, 5, 9, 9];
    const contents = await Promise.all(sizes.map((size, index) => take(pathOf(index), statOf(size))));
    expect(contents.map((content) => content?.reading.stat.size)).toEqual(sizes);
    const before = reads.length;
    await Promise.all(sizes.map(() => take(pathOf('more'), statOf(9))));
    expect(reads.length - before).toBeLessThanOrEqual(1);
  });

  it('names every name of a file that cannot be read, and tries each once', async () => {
    const { take, reads, problems } = taking(async (path) => {
      throw new ReadFailure(path, 'EACCES', 'permission denied');
    });
    const names = Array.from({ length: 5000 }, (_, index) => pathOf(index));
    await Promise.all(names.map((path) => take(path, statOf(1))));
    expect(reads.toSorted()).toEqual(names.toSorted());
    expect(problems.map(({ path }) => path).toSorted()).toEqual(names.toSorted());
    expect(problems.every(({ severity }) => severity === 'failure')).toBe(true);
  });

  it.each(['ENOENT', 'ELOOP', 'ENOTDIR', 'ESTALE', 'ENXIO'])(
    'makes %s of a file that is there a failure, and of one that is gone a note',
    async (code) => {
      const folder = temporaryFolder();
      const { take, problems } = taking(async (path) => {
        throw new ReadFailure(path, code, `${code} by the test`);
      });
      const there = fileIn(folder, 'there');
      const gone = fileIn(folder, 'gone');
      const stats = [there, gone].map(statNow);
      rmSync(join(folder, 'gone'));
      for (const [index, path] of [there, gone].entries())
        expect(await take(path, stats[index] ?? expect.fail('no stat'))).toBeUndefined();
      expect(problems).toMatchObject([
        { severity: 'failure', code: 'unreadable', path: there },
        { severity: 'note', code: 'vanished', path: gone },
      ]);
      expect(problems[0]?.message).toContain('although it is there');
    },
  );

  it('reads the file that was put in the place of one that is gone', async () => {
    const folder = temporaryFolder();
    const path = fileIn(folder, 'file', 'old');
    linkSync(path, join(folder, 'keeps its inode'));
    const picked = statNow(path);
    const { take, problems } = taking(async (_path, expected) => {
      if (expected.inodeId !== picked.inodeId) return readingOf(expected);
      writeFileSync(join(folder, 'new'), 'new');
      renameSync(join(folder, 'new'), path);
      throw new ReadFailure(path, 'ENOENT', 'it was not there just now');
    });
    const content = await take(path, picked);
    expect(content?.reading.stat.inodeId).toBe(statNow(path).inodeId);
    expect(problems).toEqual([]);
  });
});
