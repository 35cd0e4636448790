import { LocalVersions } from '../store/local-versions.js';
import type { ByteRange } from '../store/port.js';
import type { LocalPart, SmallFile } from './small-files.js';

/** What lies between two members that are read in one go. */
const MOST_BETWEEN = 64 * 1024;
/** Of a bundle, read in one go and kept for the next. */
const MOST_AT_ONCE = 1024 * 1024;
/** What encoding can add: headers, and what would not compress. */
const MOST_ADDED = 4096;

/** The stored bytes of files that a thread reads from the store's directory itself. */
export class LocalContents {
  /** How often something was read. */
  reads = 0;
  readonly #versions: LocalVersions;
  #scratch = Buffer.alloc(0);

  constructor(root: string) {
    this.#versions = new LocalVersions(root);
  }

  /**
   * The stored bytes of files of one part each, one behind the other in `all`, which is the caller's to free. Undefined
   * for each that cannot be read, or has more bytes than its content can take.
   */
  gather(files: readonly SmallFile[]): { all: Uint8Array; stored: (Uint8Array | undefined)[] } {
    const parts = files.map(({ parts }) => parts?.[0]);
    // One without parts is empty.
    const lengths = parts.map((part) => (part ? this.#lengthOf(part) : 0));
    const all = Buffer.allocUnsafeSlow(lengths.reduce<number>((sum, length) => sum + (length ?? 0), 0));
    const stored: (Uint8Array | undefined)[] = [];
    let run: { key: string; ver: string; start: number; bytes: Uint8Array } | undefined;
    let at = 0;
    for (const [index, part] of parts.entries()) {
      const length = lengths[index];
      const into = all.subarray(at, (at += length ?? 0));
      if (!part || length === undefined) {
        stored.push(part ? undefined : into);
        continue;
      }
      const start = part.off ?? 0;
      const inRun = run && run.key === part.key && run.ver === part.ver && run.start <= start;
      if (!run || !inRun || start + length > run.start + run.bytes.length)
        run = this.#runFrom(parts, index, length);
      if (run) into.set(run.bytes.subarray(start - run.start, start - run.start + length));
      const isRead =
        run !== undefined || this.#read(part.key, part.ver, { start, end: start + length }, into);
      stored.push(isRead ? into : undefined);
    }
    return { all, stored };
  }

  /** The stored bytes of one part of any length, in memory of their own. */
  read(part: LocalPart): Uint8Array | undefined {
    const length = this.#lengthOf(part);
    if (length === undefined) return undefined;
    const bytes = Buffer.allocUnsafeSlow(length);
    const start = part.off ?? 0;
    return this.#read(part.key, part.ver, { start, end: start + length }, bytes) ? bytes : undefined;
  }

  #read(key: string, ver: string, range: ByteRange, into: Uint8Array): boolean {
    this.reads += 1;
    return this.#versions.read(key, ver, range, into);
  }

  #lengthOf(part: LocalPart): number | undefined {
    const length = part.len ?? this.#versions.sizeOf(part.key, part.ver);
    return length !== undefined && length <= part.size + MOST_ADDED ? length : undefined;
  }

  /** A stretch of a bundle with this member and those that follow it; undefined where it is best read by itself. */
  #runFrom(
    parts: readonly (LocalPart | undefined)[],
    first: number,
    length: number,
  ): { key: string; ver: string; start: number; bytes: Uint8Array } | undefined {
    const part = parts[first];
    if (part?.off === undefined) return undefined;
    const { key, ver, off } = part;
    let end = off + length;
    for (let next = first + 1; next < parts.length; next += 1) {
      const other = parts[next];
      if (other?.key !== key || other.ver !== ver || other.off === undefined || other.len === undefined)
        break;
      const otherEnd = other.off + other.len;
      if (other.off < off || other.off - end > MOST_BETWEEN || otherEnd - off > MOST_AT_ONCE) break;
      end = Math.max(end, otherEnd);
    }
    if (end === off + length) return undefined;
    if (this.#scratch.length < end - off) this.#scratch = Buffer.allocUnsafeSlow(MOST_AT_ONCE);
    const bytes = this.#scratch.subarray(0, end - off);
    return this.#read(key, ver, { start: off, end }, bytes) ? { key, ver, start: off, bytes } : undefined;
  }
}
