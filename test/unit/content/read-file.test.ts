import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { decode } from '#src/content/decode.js';
import { ReadFailure } from '#src/content/read-failure.js';
import { type ReadOptions, readFile } from '#src/content/read-file.js';
import { Scratch } from '#src/content/scratch.js';
import { pathFromBytes, pathFromText } from '#src/files/byte-path.js';
import { type FileStat, lstat } from '#src/files/stat.js';
import { hasFlockProgram, holdLock } from './hold-lock.js';

const folder = mkdtempSync(join(tmpdir(), 'read-file-'));
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `f${files++}`);
const written = (content: Uint8Array | string) => {
  const path = newPath();
  writeFileSync(path, content);
  return path;
};

const BLOCK = 8192;
const options = (more: Partial<ReadOptions> = {}): ReadOptions => ({
  compression: 'gzip',
  level: 1,
  blockSize: BLOCK,
  lockTimeoutMs: 0,
  scratch: new Scratch(),
  ...more,
});
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** Drives a reading to its end, and puts its blocks together as a restore would. */
function read(path: string | Buffer, more: Partial<ReadOptions> = {}, onWait?: () => void) {
  const steps = readFile(typeof path === 'string' ? pathFromText(path) : pathFromBytes(path), options(more));
  let blocks: { sha: string; plain: Buffer }[] = [];
  let restarts = 0;
  let waits = 0;
  let memory: Buffer | undefined;
  for (;;) {
    const step = steps.next(memory);
    if (step.done) return { ...step.value, blocks, restarts, waits, plain: joined(blocks) };
    if (step.value.kind === 'wait') {
      waits++;
      onWait?.();
    } else if (step.value.kind === 'restart') {
      restarts++;
      blocks = [];
    } else if (step.value.kind === 'memory') {
      memory = Buffer.alloc(more.blockSize ?? BLOCK, 'what stood there before');
    } else if (step.value.kind === 'piece') {
      const { size, sha } = step.value;
      const plain = sha ? Buffer.alloc(size) : (memory ?? Buffer.alloc(0)).subarray(0, size);
      if (sha) expect(hex(sha)).toBe(sha256(plain));
      blocks.push({ sha: sha256(plain), plain });
      memory = undefined;
    } else {
      const { sha, size, stored } = step.value.block;
      const plain = Buffer.from(decode(stored.bytes, stored.enc, { size, what: 'a block' }));
      expect(hex(sha)).toBe(sha256(plain));
      expect(stored.md5).toBe(createHash('md5').update(stored.bytes).digest('hex'));
      blocks.push({ sha: hex(sha), plain });
    }
  }
}
const joined = (blocks: { plain: Buffer }[]) => Buffer.concat(blocks.map((block) => block.plain));

const failing = (path: string, more: Partial<ReadOptions> = {}) => {
  try {
    read(path, more);
  } catch (error) {
    if (error instanceof ReadFailure) return error.code;
    throw error;
  }
  return 'read';
};

describe('readFile', () => {
  it.each([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK, 3 * BLOCK + 5])(
    'reads a file of %i bytes in as few blocks as it takes',
    (length) => {
      const content = randomBytes(length);
      const result = read(written(content));
      expect(result.blocks.map((block) => block.plain.length)).toEqual(
        Array.from({ length: Math.ceil(length / BLOCK) }, (_, i) => Math.min(BLOCK, length - i * BLOCK)),
      );
      expect(result.plain.equals(content)).toBe(true);
      expect(hex(result.sha)).toBe(sha256(content));
      expect(result).toMatchObject({ size: length, unlocked: false, changed: false, restarts: 0 });
      expect(result.stat.size).toBe(length);
    },
  );

  it('brings any content back', () => {
    const blocks = fc.array(fc.constantFrom('zero', 'one', 'noise', 'hole'), { maxLength: 8 });
    fc.assert(
      fc.property(blocks, fc.nat(BLOCK), (kinds, tail) => {
        const path = newPath();
        const fd = openSync(path, 'w');
        let at = 0;
        for (const kind of kinds) {
          if (kind !== 'hole') {
            const content =
              kind === 'noise' ? randomBytes(BLOCK) : Buffer.alloc(BLOCK, kind === 'one' ? 1 : 0);
            writeSync(fd, content, 0, BLOCK, at);
          }
          at += BLOCK;
        }
        closeSync(fd);
        truncateSync(path, at + tail);
        const content = readFileSync(path);
        const result = read(path);
        expect(result.plain.equals(content)).toBe(true);
        expect(hex(result.sha)).toBe(sha256(content));
        rmSync(path);
      }),
      { numRuns: 60 },
    );
  });

  it('passes over holes without reading them', () => {
    const path = newPath();
    writeFileSync(path, 'start');
    truncateSync(path, 20 * 1024 * 1024);
    let reads = 0;
    const result = read(path, { blockSize: 1024 * 1024, afterRead: () => reads++ });
    expect(hex(result.sha)).toBe(sha256(readFileSync(path)));
    expect(reads).toBe(1);
  });

  it('takes names that are no UTF-8, and names with newlines', () => {
    const path = Buffer.concat([Buffer.from(`${folder}/-\n`), Buffer.from([0xff, 0xfe])]);
    writeFileSync(path, 'odd');
    expect(read(path).plain.toString()).toBe('odd');
  });

  it('leaves the time of last access alone where it may', () => {
    const path = written('x');
    utimesSync(path, 1000, 2000);
    read(path);
    expect(statSync(path).atimeMs).toBe(1_000_000);
  });

  it('says when the reading began', () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const { startedNs } = read(written('x'));
    expect(startedNs).toBeGreaterThanOrEqual(before);
    expect(startedNs).toBeLessThanOrEqual(BigInt(Date.now()) * 1_000_000n);
  });

  it.each(['/proc/version', '/sys/class/net/lo/mtu'])(
    'reads %s, which the kernel makes up and which states another length, once, and promises nothing for the next time',
    (path) => {
      let reads = 0;
      const result = read(path, { afterRead: () => reads++ });
      expect(result.plain.equals(readFileSync(path))).toBe(true);
      expect(result.stat.size).not.toBe(result.size);
      expect(result).toMatchObject({ changed: false, lasting: false });
      expect(reads).toBe(1);
    },
  );

  // Some megabytes, whoever reads it.
  it.skipIf(!existsSync('/proc/kallsyms'))(
    'reads what states no length up to the end of one block (needs /proc/kallsyms)',
    () => {
      const content = readFileSync('/proc/kallsyms');
      const blockSize = content.length + BLOCK;
      const result = read('/proc/kallsyms', { blockSize });
      expect(result.plain.equals(content)).toBe(true);
      expect(hex(result.sha)).toBe(sha256(content));
      expect(result).toMatchObject({ size: content.length, changed: false, lasting: false, restarts: 0 });
      expect(result.blocks).toHaveLength(1);
      expect(failing('/proc/kallsyms', { blockSize: content.length - 1 })).toBe('UNSTATED_SIZE');
    },
  );

  it('promises the same content for the next time of what it read undisturbed, and of what is empty', () => {
    for (const content of ['', 'x', Buffer.alloc(BLOCK), Buffer.alloc(3 * BLOCK + 1)])
      expect(read(written(content))).toMatchObject({ lasting: true });
    expect(read(written('x'), { afterRead: () => undefined })).toMatchObject({ lasting: true });
    const growing = written('x');
    const grown = read(growing, { afterRead: () => appendFileSync(growing, 'x') });
    expect(grown).toMatchObject({ changed: true, lasting: false });
  });
});

describe('readFile of a file that changes', () => {
  it('reads a file of one block once more before it hands it out', () => {
    const path = written('old');
    let times = 0;
    const afterRead = () => {
      if (times++ === 0) writeFileSync(path, 'newer');
    };
    const result = read(path, { afterRead });
    expect(result).toMatchObject({ changed: false, restarts: 0, size: 5 });
    expect(result.blocks.map((block) => block.plain.toString())).toEqual(['newer']);
    expect(result.stat.size).toBe(5);
    expect(hex(result.sha)).toBe(sha256(Buffer.from('newer')));
  });

  it('keeps the second copy where it changes again, up to the length it began with', () => {
    const path = written('12');
    const result = read(path, { afterRead: () => appendFileSync(path, 'x') });
    expect(result).toMatchObject({ changed: true, size: 3 });
    expect(result.plain.toString()).toBe('12x');
  });

  it('notices a change that leaves size and mtime as they were', () => {
    const path = written('aaaa');
    const { mtime } = statSync(path);
    utimesSync(path, mtime, mtime);
    const { ctimeMs } = statSync(path);
    let times = 0;
    const afterRead = () => {
      if (times++ > 0) return;
      // The kernel's clock for ctime goes in ticks of some milliseconds.
      do {
        writeFileSync(path, 'bbbb');
        utimesSync(path, mtime, mtime);
      } while (statSync(path).ctimeMs === ctimeMs);
    };
    expect(read(path, { afterRead }).plain.toString()).toBe('bbbb');
    expect(times).toBe(2);
  });

  it('does not mind a file that gets another name or fewer links meanwhile, once it is read again', () => {
    const path = written('content');
    let times = 0;
    const afterRead = () => {
      if (times++ === 0) renameSync(path, newPath());
    };
    expect(read(path, { afterRead })).toMatchObject({ changed: false, size: 7 });
  });

  it('starts a long file again, at once', () => {
    const path = written(Buffer.alloc(5 * BLOCK, 'a'));
    let reads = 0;
    const afterRead = () => {
      if (++reads === 2) appendFileSync(path, 'tail');
    };
    const result = read(path, { afterRead });
    expect(result).toMatchObject({ changed: false, restarts: 1, size: 5 * BLOCK + 4 });
    expect(result.plain.equals(readFileSync(path))).toBe(true);
    expect(hex(result.sha)).toBe(sha256(readFileSync(path)));
    // two blocks of the first round, six of the second
    expect(reads).toBe(8);
  });

  it('keeps the second copy of a long file that does not stop growing', () => {
    const path = written(Buffer.alloc(3 * BLOCK, 'a'));
    const result = read(path, { afterRead: () => appendFileSync(path, 'tail') });
    expect(result).toMatchObject({ changed: true, restarts: 1 });
    expect(result.size).toBe(result.stat.size);
    expect(hex(result.sha)).toBe(sha256(result.plain));
  });

  it('keeps what is there of a file cut short under its hands', () => {
    const path = written(Buffer.alloc(4 * BLOCK, 'a'));
    let length = 4 * BLOCK;
    const afterRead = () => truncateSync(path, --length - BLOCK);
    const result = read(path, { afterRead });
    expect(result.changed).toBe(true);
    expect(result.size).toBeLessThan(result.stat.size);
    expect(result.plain.length).toBe(result.size);
    expect(hex(result.sha)).toBe(sha256(result.plain));
  });

  it('goes from long to short and from short to long', () => {
    const shrinking = written(Buffer.alloc(3 * BLOCK, 'a'));
    let times = 0;
    const shrink = () => {
      if (times++ === 0) writeFileSync(shrinking, 'short');
    };
    const short = read(shrinking, { afterRead: shrink });
    expect(short).toMatchObject({ changed: false, restarts: 1 });
    expect(short.plain.toString()).toBe('short');

    const growing = written('short');
    const grow = () => {
      if (times++ === 2) writeFileSync(growing, Buffer.alloc(3 * BLOCK, 'b'));
    };
    times = 2;
    const long = read(growing, { afterRead: grow });
    expect(long).toMatchObject({ changed: false, restarts: 0, size: 3 * BLOCK });
    expect(long.plain.equals(Buffer.alloc(3 * BLOCK, 'b'))).toBe(true);
  });
});

describe('readFile of what is no readable file', () => {
  it('names the reason', () => {
    const link = newPath();
    symlinkSync(written('x'), link);
    const directory = newPath();
    mkdirSync(directory);
    expect(failing(link)).toBe('ELOOP');
    expect(failing(directory)).toBe('NOT_REGULAR');
    expect(failing('/dev/null')).toBe('NOT_REGULAR');
    expect(failing(newPath())).toBe('ENOENT');
  });

  it('does not hang on a FIFO that has taken the place of a file', () => {
    const path = newPath();
    execFileSync('mkfifo', [path]);
    expect(failing(path)).toBe('NOT_REGULAR');
  });

  it('refuses another inode than the expected one', () => {
    const path = written('looked at');
    const { inodeId } = lstat(pathFromText(path)) as FileStat;
    expect(failing(path, { expectedInode: inodeId })).toBe('read');
    renameSync(written('another'), path);
    expect(failing(path, { expectedInode: inodeId })).toBe('REPLACED');
  });

  it('says in the message what and why, and the path once', () => {
    const path = join(folder, 'no such file');
    expect(() => read(path)).toThrow(`cannot read ${path}: ENOENT: no such file or directory`);
    try {
      read(path);
    } catch (error) {
      expect((error as ReadFailure).reason).toBe('ENOENT: no such file or directory');
    }
  });

  it('is refused what its user may not read, and reads what belongs to another', () => {
    const [secret, foreign] = [written('secret'), written('foreign')];
    chmodSync(secret, 0);
    chmodSync(foreign, 0o644);
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65534);
    try {
      expect(failing(secret)).toBe('EACCES');
      expect(read(foreign).plain.toString()).toBe('foreign');
    } finally {
      if (root) process.seteuid?.(0);
    }
  });
});

describe.skipIf(!hasFlockProgram)('readFile of a locked file (needs flock)', () => {
  it('asks once where there is no time, and reads it all the same', async () => {
    const path = written('busy');
    const holder = await holdLock(path);
    const result = read(path);
    await holder.release();
    expect(result).toMatchObject({ unlocked: true, waits: 0, lasting: false });
    expect(result.plain.toString()).toBe('busy');
  });

  it('does not wait for the lock of an empty file, which is mostly nothing else', async () => {
    const path = written('');
    const holder = await holdLock(path);
    const result = read(path, { lockTimeoutMs: 60_000 });
    await holder.release();
    expect(result).toMatchObject({ size: 0, unlocked: false, waits: 0, lasting: true });
  });

  it('gives up when the time is over', async () => {
    const path = written('busy');
    const holder = await holdLock(path);
    const result = read(path, { lockTimeoutMs: 20 });
    await holder.release();
    expect(result.unlocked).toBe(true);
    expect(result.waits).toBeGreaterThan(0);
  });

  it('has it once the other lets go, and reads what was written until then', async () => {
    const path = written('before');
    const holder = await holdLock(path);
    const steps = readFile(pathFromText(path), options({ lockTimeoutMs: 60_000 }));
    expect(steps.next().value).toMatchObject({ kind: 'wait' });
    writeFileSync(path, 'afterwards');
    await holder.release();
    expect(steps.next().value).toMatchObject({ kind: 'block', block: { size: 10 } });
    expect(steps.next().value).toMatchObject({ unlocked: false, changed: false, size: 10 });
  });
});
