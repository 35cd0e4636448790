import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { BytePath } from '../files/byte-path.js';
import { type FileLock, tryLockFile } from '../files/flock.js';
import { type SafeDir, TEMPORARY_PREFIX } from '../files/safe-dir.js';
import { fstat } from '../files/stat.js';

/** As `SafeDir.createTemporary` calls them. */
const TEMPORARY = new RegExp(`^${TEMPORARY_PREFIX.replaceAll('.', '\\.')}[0-9a-f]{18}$`);

/**
 * What a restore that was killed left behind in a target, so that the next one into it goes on: folders that were
 * made but not selected, which wait closed for their metadata, and files under temporary names.
 *
 * It is remembered in a file outside the target, locked while the restore runs; where that cannot be (another
 * restore into the same target is under way, the folder cannot be written) nothing is remembered and nothing
 * cleaned. A restore that ends leaves no such file.
 */
export class Unfinished {
  /** Whether an earlier restore into this target was killed, or stopped with folders unfinished. */
  readonly isResumed: boolean;
  readonly #path: string;
  readonly #lock: FileLock | undefined;
  readonly #earlier: Set<BytePath>;
  readonly #fd: number | undefined;
  #count = 0;

  private constructor(path: string, lock: FileLock | undefined, fd: number | undefined) {
    this.#path = path;
    this.#lock = lock;
    this.#fd = fd;
    const before = fd === undefined ? '' : readFileSync(fd, 'utf8');
    this.#earlier = new Set(pathsIn(before));
    this.#count = this.#earlier.size;
    this.isResumed = before !== '';
    if (fd !== undefined && before === '') this.#write('begun\n');
  }

  /** `folder` is for this program's files, and only for this user's. */
  static open(target: SafeDir, folder: string): Unfinished {
    const stat = fstat(target.fd);
    if (typeof stat === 'string') return new Unfinished('', undefined, undefined);
    const name = createHash('sha256').update(stat.inodeId).digest('hex').slice(0, 24);
    const path = join(folder, `restoring-${name}`);
    try {
      const lock = tryLockFile(path);
      return new Unfinished(path, lock, lock && openOwn(path));
    } catch {
      // A folder that cannot be written is told by what needs it.
      return new Unfinished(path, undefined, undefined);
    }
  }

  /** Whether an earlier restore made this folder and did not come to finish it. */
  has(path: BytePath): boolean {
    return this.#earlier.has(path);
  }

  /** A folder was made whose metadata comes at the end, and which the next restore would take for somebody else's. */
  made(path: BytePath): void {
    if (this.#earlier.has(path)) return;
    this.#count += 1;
    this.#write(`${JSON.stringify(path)}\n`);
  }

  /** Removes what a killed restore left in this folder under temporary names. */
  clean(dir: SafeDir): void {
    if (!this.isResumed) return;
    const names = dir.names();
    for (const name of typeof names === 'string' ? [] : names) {
      if (!TEMPORARY.test(name)) continue;
      const stat = dir.stat(name);
      if (typeof stat !== 'string' && stat.kind !== 'directory' && stat.uid === process.geteuid?.())
        dir.remove(name);
    }
  }

  /** All folders have their metadata: nothing is left for a next one. */
  finished(): void {
    this.#count = 0;
  }

  /** The restore has come to an end of its own, or to an order to stop, and left no temporary file. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    if (this.#lock && this.#count === 0) rmSync(this.#path, { force: true });
    this.#lock?.release();
  }

  #write(line: string): void {
    if (this.#fd === undefined) return;
    try {
      writeSync(this.#fd, line);
    } catch {
      // No room: what would be missing is a convenience of a next restore, and this one has greater worries.
    }
  }
}

/** Undefined where the file of that name is not what this made: it may lie in a folder that others can write in. */
function openOwn(path: string): number | undefined {
  const { O_RDWR, O_APPEND, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW);
  const stat = fstatSync(fd);
  if (stat.isFile() && stat.nlink === 1 && stat.uid === process.geteuid?.()) return fd;
  closeSync(fd);
  return undefined;
}

function pathsIn(text: string): BytePath[] {
  return text.split('\n').flatMap((line) => {
    // The last line may be half of one.
    const whole = /^"(?:[^"\\]|\\.)*"$/.test(line);
    return whole ? [JSON.parse(line) as BytePath] : [];
  });
}
