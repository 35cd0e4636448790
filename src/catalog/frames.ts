import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, writeSync, writevSync } from 'node:fs';
import type { OwnMemory } from '../own-memory.js';
import { linkFile } from './link-file.js';

/**
 * A file of frames: `length u32 | type u32 | checksum 16 bytes | payload`, each filled up with zeros so that the next
 * begins at a multiple of 8, and the words in a payload lie where words can. The checksum is the first half of the
 * SHA-256 of the frame's number, its type and its payload, so that a frame that was changed, moved, repeated or cut
 * is never taken for what it was. The last frame of a whole file has the type {@link END} and counts the others.
 */
export const END = 0;

/** Bytes before a payload. */
export const FRAME_HEAD_SIZE = 24;
const CHECKSUM_SIZE = 16;
/** Nothing is written beyond it; a longer one is damage, not a reason to ask for memory. */
export const MAX_PAYLOAD = 64 << 20;
const BUFFER_SIZE = 1 << 20;
const ALIGNMENT = 8;
const ZEROS = Buffer.alloc(ALIGNMENT);

/** Bytes that follow a payload of so many. */
function paddingAfter(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

export interface Frame {
  type: number;
  payload: Buffer;
}

/** Where a frame is in a file of frames. */
export interface FramePlace {
  /** Its number in the file. */
  index: number;
  type: number;
  /** Where its payload begins, and how long that is. */
  start: number;
  length: number;
  /** The file is whole, and this is its last frame but the one that counts. */
  isLast?: boolean;
}

/** Where the next frame begins. */
export function endOf({ start, length }: FramePlace): number {
  return start + length + paddingAfter(length);
}

/** What stands before the payload of frame `index`. */
export function checksum(index: number, type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(index, 0);
  head.writeUInt32LE(type, 4);
  return createHash('sha256').update(head).update(payload).digest().subarray(0, CHECKSUM_SIZE);
}

/**
 * Writes a file of frames. Frames of another file that come first, in the order in which they are there, are not
 * written but copied when something else follows; where nothing does, the file becomes another name of that one.
 */
export class FrameWriter {
  readonly #path: string;
  readonly #last: string | undefined;
  /** Where the payload of the last frame that was kept ends. What fills it up may have been cut, and is not copied. */
  #keptEnd = 0;
  #isWhole = false;
  #fd: number | undefined;
  #ended = false;
  #index = 0;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #given: OwnMemory[] = [];

  /** @param last the file that {@link keep} is about */
  constructor(path: string, last?: string) {
    this.#path = path;
    this.#last = last;
    if (last === undefined) this.#open();
  }

  /** A frame of the last file. It has been read and found whole. As {@link give} for the rest. */
  keep(place: FramePlace, payload: OwnMemory): void {
    if (this.#fd !== undefined || place.index !== this.#index) {
      this.give(place.type, payload);
      return;
    }
    payload.release();
    this.#index++;
    this.#keptEnd = place.start + place.length;
    this.#isWhole = place.isLast === true;
  }

  /** Takes a payload, which is freed when it has been written. */
  give(type: number, payload: OwnMemory): void {
    this.#given.push(payload);
    this.write(type, payload.view);
  }

  write(type: number, payload: Buffer): void {
    if (payload.length > MAX_PAYLOAD)
      throw new RangeError(`a frame of ${payload.length} bytes, which would not be read again`);
    if (this.#fd === undefined) this.#open();
    const head = Buffer.alloc(FRAME_HEAD_SIZE);
    head.writeUInt32LE(payload.length, 0);
    head.writeUInt32LE(type, 4);
    checksum(this.#index, type, payload).copy(head, 8);
    this.#index++;
    const padding = paddingAfter(payload.length);
    this.#pending.push(head, payload, ZEROS.subarray(0, padding));
    this.#pendingBytes += FRAME_HEAD_SIZE + payload.length + padding;
    if (this.#pendingBytes >= BUFFER_SIZE) this.#flush();
  }

  /** Writes the end frame and makes the file last. */
  finish(): void {
    if (this.#fd === undefined && this.#isWhole && linkFile(this.#last ?? '', this.#path)) {
      this.#ended = true;
      return;
    }
    const count = Buffer.alloc(4);
    count.writeUInt32LE(this.#index, 0);
    this.write(END, count);
    this.#flush();
    if (this.#fd !== undefined) fsyncSync(this.#fd);
    this.abandon();
  }

  /** Closes, without an end where {@link finish} was not called: the file counts as cut. */
  abandon(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#ended = true;
  }

  #open(): void {
    if (this.#ended) throw new Error('the file of frames is closed');
    this.#fd = openSync(this.#path, 'w', 0o600);
    if (this.#last === undefined || this.#keptEnd === 0) return;
    const from = openSync(this.#last, 'r');
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(BUFFER_SIZE, this.#keptEnd));
      for (let done = 0; done < this.#keptEnd; ) {
        const got = readSync(from, buffer, 0, Math.min(buffer.length, this.#keptEnd - done), done);
        if (got === 0) throw new FramesDamaged('the file ends too early');
        for (let written = 0; written < got; ) written += writeSync(this.#fd, buffer, written, got - written);
        done += got;
      }
      this.#pending.push(ZEROS.subarray(0, paddingAfter(this.#keptEnd)));
    } finally {
      closeSync(from);
    }
  }

  #flush(): void {
    if (this.#fd === undefined) throw new Error('the file of frames is closed');
    let pending = this.#pending;
    while (pending.length > 0) pending = without(pending, writevSync(this.#fd, pending));
    for (const payload of this.#given) payload.release();
    this.#given = [];
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/** What is left of some buffers when so many bytes of them have been written. */
function without(buffers: readonly Buffer[], written: number): Buffer[] {
  let left = written;
  return buffers.flatMap((buffer) => {
    const done = Math.min(left, buffer.length);
    left -= done;
    return done === buffer.length ? [] : [buffer.subarray(done)];
  });
}

/** Thrown where a file of frames is not what was written. Its text ends up in a warning, never before a user alone. */
export class FramesDamaged extends Error {
  override readonly name = 'FramesDamaged';
}

export class FrameReader {
  readonly #fd: number;
  #index = 0;
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #ended = false;

  /** Throws Node's ENOENT where there is no such file. */
  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /** The next frame, whose payload stays good; undefined after a proper end. Throws {@link FramesDamaged} at the first wrong byte. */
  next(): Frame | undefined {
    if (this.#ended) return undefined;
    const head = this.#take(FRAME_HEAD_SIZE);
    const length = head.readUInt32LE(0);
    const type = head.readUInt32LE(4);
    const expected = head.subarray(8, FRAME_HEAD_SIZE);
    if (length > MAX_PAYLOAD) throw new FramesDamaged(`frame ${this.#index} has an impossible length`);
    const payload = this.#take(length);
    const padding = this.#take(paddingAfter(length));
    if (!checksum(this.#index, type, payload).equals(expected)) {
      throw new FramesDamaged(`frame ${this.#index} does not match its checksum`);
    }
    if (!padding.equals(ZEROS.subarray(0, padding.length))) {
      throw new FramesDamaged(`bytes after frame ${this.#index} that are none of it`);
    }
    if (type === END) {
      if (payload.length !== 4 || payload.readUInt32LE(0) !== this.#index)
        throw new FramesDamaged('wrong frame count');
      if (this.#at < this.#end || readSync(this.#fd, Buffer.alloc(1), 0, 1, null) > 0)
        throw new FramesDamaged('bytes after the end');
      this.#ended = true;
      return undefined;
    }
    this.#index++;
    return { type, payload };
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The next bytes. A buffer once filled is never filled again, so that what lies in it stays good. */
  #take(length: number): Buffer {
    if (this.#end - this.#at < length) this.#fill(length);
    if (this.#end - this.#at < length) throw new FramesDamaged('the file ends too early');
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  #fill(length: number): void {
    const next = Buffer.allocUnsafeSlow(Math.max(BUFFER_SIZE, length));
    let end = this.#buffer.copy(next, 0, this.#at, this.#end);
    while (end < next.length) {
      const count = readSync(this.#fd, next, end, next.length - end, null);
      if (count === 0) break;
      end += count;
    }
    this.#buffer = next;
    this.#at = 0;
    this.#end = end;
  }
}
