import type { BytePath } from '../files/byte-path.js';

/** A longer record is no path: the kernel takes 4096 bytes. */
export const MAX_RECORD_BYTES = 64 * 1024;
/** A NUL among that many first bytes says that NUL ends the records. */
const DETECT_WITHIN_BYTES = 64 * 1024;
/** Refused records kept singly, of each kind; more are only counted. */
const KEEP_REFUSED = 100;
const SLASH = 47;

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
  #separator: '\0' | '\n' | undefined;
  /** Before the separator is known all that came; then the beginning of a record. */
  #carry = '';
  #skipping = false;

  push(chunk: Buffer): BytePath[] {
    const text = chunk.toString('latin1');
    if (this.#separator !== undefined) return this.#split(text);
    const nul = text.indexOf('\0');
    const length = this.#carry.length;
    if (nul >= 0 && length + nul < DETECT_WITHIN_BYTES) this.#separator = '\0';
    else if (length + text.length >= DETECT_WITHIN_BYTES) this.#separator = '\n';
    else {
      this.#carry += text;
      return [];
    }
    const all = this.#carry + text;
    this.#carry = '';
    return this.#split(all);
  }

  /** @param complete false where the picker was cut off: a record without its end is then no path. */
  end(complete = true): BytePath[] {
    this.#separator ??= '\n';
    if (!complete) this.#carry = this.#carry.slice(0, this.#carry.lastIndexOf(this.#separator) + 1);
    // A separator of our own ends the last record; where it ended already, an empty one is ignored.
    return this.#split(this.#separator);
  }

  // Strings rather than bytes: one decode per chunk, then slices that share its memory. 127,000 paths of 80 bytes: 6 ms.
  #split(text: string): BytePath[] {
    const separator = this.#separator ?? '\n';
    let fresh = text;
    if (this.#skipping) {
      const end = text.indexOf(separator);
      if (end < 0) return [];
      this.#skipping = false;
      fresh = text.slice(end + 1);
    }
    if (!fresh.includes(separator)) {
      // Joining without looking inside keeps a record that comes byte by byte from being copied each time.
      this.#keep(this.#carry + fresh);
      return [];
    }
    const joined = this.#carry + fresh;
    const records = joined.split(separator);
    const unfinished = records.pop() ?? '';
    const mayContainNul = separator === '\n' && joined.includes('\0');
    const paths: BytePath[] = [];
    for (const record of records) {
      if (record === '') continue;
      if (record.length > MAX_RECORD_BYTES) this.#refuse('too-long', record);
      else if (record.charCodeAt(0) !== SLASH) this.#refuse('relative', record);
      else if (mayContainNul && record.includes('\0')) this.#refuse('contains-nul', record);
      else paths.push(record as BytePath);
    }
    this.#keep(unfinished);
    return paths;
  }

  #keep(start: string): void {
    this.#carry = start;
    if (start.length <= MAX_RECORD_BYTES) return;
    this.#refuse('too-long', start);
    this.#carry = '';
    this.#skipping = true;
  }

  #refuse(kind: RefusalKind, record: string): void {
    const refusals = this.refused[kind];
    refusals.count++;
    if (refusals.first.length >= KEEP_REFUSED) return;
    // Through a buffer: a slice alone would keep the whole chunk in memory.
    refusals.first.push(Buffer.from(record.slice(0, 200), 'latin1').toString('latin1'));
  }
}
