import { compareKeys } from './key-order.js';
import type { Retention } from './port.js';

/** One version or delete marker in a bucket in memory. */
export interface MemoryVersion {
  readonly key: string;
  readonly version: string;
  readonly bytes: Buffer;
  /** Undefined for delete markers. */
  readonly etag: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string | undefined;
  readonly deleteMarker: boolean;
  /** Milliseconds since the epoch. */
  readonly received: number;
  retention: Retention | undefined;
}

/** The versions of a bucket, kept as S3 keeps them: per key a stack, the newest on top. */
export class MemoryBucket {
  /** Newest first. */
  readonly #keys = new Map<string, MemoryVersion[]>();
  #order: string[] | undefined;
  #count = 0;

  /** A name that no version had before. As on S3 it says nothing about age. */
  freshVersionId(): string {
    this.#count += 1;
    return `v${((this.#count * 7919) % 100_003).toString(36)}-${this.#count.toString(36)}`;
  }

  push(version: MemoryVersion): void {
    const stack = this.#keys.get(version.key);
    if (stack === undefined) {
      this.#keys.set(version.key, [version]);
      this.#order = undefined;
    } else stack.unshift(version);
  }

  find(key: string, version: string): MemoryVersion | undefined {
    return this.#keys.get(key)?.find((found) => found.version === version);
  }

  remove(gone: MemoryVersion): void {
    const left = this.versionsOf(gone.key).filter((version) => version !== gone);
    if (left.length > 0) this.#keys.set(gone.key, left);
    else {
      this.#keys.delete(gone.key);
      this.#order = undefined;
    }
  }

  /** Newest first. */
  versionsOf(key: string): readonly MemoryVersion[] {
    return this.#keys.get(key) ?? [];
  }

  /** Ascending by bytes. */
  keys(): readonly string[] {
    this.#order ??= [...this.#keys.keys()].sort(compareKeys);
    return this.#order;
  }
}

/** Whether an object's lock holds at a time (milliseconds since the epoch). */
export function isLocked(version: MemoryVersion, now: number): boolean {
  return version.retention !== undefined && version.retention.until * 1000 > now;
}
