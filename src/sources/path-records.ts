import { PackedPaths } from '../files/packed-paths.js';

/** A longer record is no path: the kernel takes 4096 bytes. */
export const MAX_RECORD_BYTES = 64 * 1024;
/** A NUL among that many first bytes says that NUL ends the records. */
const DETECT_WITHIN_BYTES = 64 * 1024;
/** Refused records kept singly, of each kind; more are only counted, since they are no paths and may be gigabytes. */
const KEEP_REFUSED = 99;
const SLASH = 47;
const NUL = 0;
const NEWLINE = 10;
const NO_PATHS = PackedPaths.of([]);

export type RefusalKind = 'too-long' | 'relative' | 'contains-nul';

export interface Refusals {
  count: number;
  /** The first of them, at most the first 200 bytes of each. */
  first: string[];
}

/**
 * What a picker prints, cut into absolute paths. Records end in NUL if one occurs within the first 64 KiB,
 * otherwise in a newline; a last one without its end counts. Empty records are ignored, carriage returns belong
 * to the name. Holds at most 128 KiB and a chunk, whatever is printed.
 */
export class PathRecords {
  readonly refused: Record<RefusalKind, Refusals> = {
    'too-long': { count: 0, first: [] },
    relative: { count: 0, first: [] },
    'contains-nul': { count: 0, first: [] },
  };
  #separator: typeof NUL | typeof NEWLINE | undefined;
  /** Before the separator is known all that came; then the beginning of a record. */
  #carried: Buffer[] = [];
  #carriedBytes = 0;
  #skipping = false;

  push(chunk: Buffer): PackedPaths {
    if (this.#separator !== undefined) return this.#split(chunk);
    const nul = chunk.indexOf(NUL);
    const length = this.#carriedBytes;
    if (nul >= 0 && length + nul < DETECT_WITHIN_BYTES) this.#separator = NUL;
    else if (length + chunk.length >= DETECT_WITHIN_BYTES) this.#separator = NEWLINE;
    else {
      this.#carry(chunk);
      return NO_PATHS;
    }
    return this.#split(this.#withCarried(chunk));
  }

  /** @param complete false where the picker was cut off: a record without its end is then no path. */
  end(complete = true): PackedPaths {
    const separator = (this.#separator ??= NEWLINE);
    const rest = this.#withCarried(Buffer.alloc(0));
    const whole = complete ? rest : rest.subarray(0, rest.lastIndexOf(separator) + 1);
    // A separator of our own ends the last record; where it ended already, an empty one is ignored.
    return this.#split(Buffer.concat([whole, Buffer.of(separator)]));
  }

  #split(chunk: Buffer): PackedPaths {
    const separator = this.#separator ?? NEWLINE;
    let fresh = chunk;
    if (this.#skipping) {
      const end = chunk.indexOf(separator);
      if (end < 0) return NO_PATHS;
      this.#skipping = false;
      fresh = chunk.subarray(end + 1);
    }
    const end = fresh.lastIndexOf(separator) + 1;
    if (end === 0) {
      this.#keep(fresh);
      return NO_PATHS;
    }
    const paths = this.#pack(this.#withCarried(fresh.subarray(0, end)), separator);
    this.#keep(fresh.subarray(end));
    return paths;
  }

  /** @param records whole ones, in memory of their own, which becomes the paths' */
  #pack(records: Buffer<ArrayBuffer>, separator: number): PackedPaths {
    const mayContainNul = separator === NEWLINE && records.includes(NUL);
    const ends: number[] = [];
    let to = 0;
    for (let from = 0; from < records.length; ) {
      const end = records.indexOf(separator, from);
      const kind = this.#kindOf(records, from, end, mayContainNul);
      if (kind === 'path') {
        // Mostly they lie close together already.
        if (to !== from) records.copyWithin(to, from, end);
        to += end - from;
        records[to] = NUL;
        ends.push(to++);
      } else if (kind !== 'empty') this.#refuse(kind, records.subarray(from, end));
      from = end + 1;
    }
    return new PackedPaths(records, Uint32Array.from(ends));
  }

  #kindOf(
    records: Buffer,
    from: number,
    end: number,
    mayContainNul: boolean,
  ): RefusalKind | 'path' | 'empty' {
    if (from === end) return 'empty';
    if (end - from > MAX_RECORD_BYTES) return 'too-long';
    if (records[from] !== SLASH) return 'relative';
    return mayContainNul && records.subarray(from, end).includes(NUL) ? 'contains-nul' : 'path';
  }

  #keep(start: Buffer): void {
    if (start.length > 0) this.#carry(start);
    if (this.#carriedBytes <= MAX_RECORD_BYTES) return;
    this.#refuse('too-long', this.#withCarried(Buffer.alloc(0)));
    this.#skipping = true;
  }

  // Pieces are put together once: a record that comes byte by byte would be copied each time.
  #carry(bytes: Buffer): void {
    this.#carried.push(Buffer.from(bytes));
    this.#carriedBytes += bytes.length;
  }

  /** What was carried and these bytes, in memory of its own. */
  #withCarried(bytes: Buffer): Buffer<ArrayBuffer> {
    const all = Buffer.allocUnsafeSlow(this.#carriedBytes + bytes.length);
    let at = 0;
    for (const piece of this.#carried) at += piece.copy(all, at);
    bytes.copy(all, at);
    this.#carried = [];
    this.#carriedBytes = 0;
    return all;
  }

  #refuse(kind: RefusalKind, record: Buffer): void {
    const refusals = this.refused[kind];
    refusals.count++;
    if (refusals.first.length >= KEEP_REFUSED) return;
    refusals.first.push(record.toString('latin1', 0, 200));
  }
}
