import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Encoding } from '../config/compression.js';
import { errnoOf } from '../errors.js';
import { LineSplitter } from '../manifest/line-splitter.js';

/** One confirmed PUT of content, or renewal of it. */
export interface JournalObject {
  /** SHA-256 in hex. */
  sha: string;
  version: string;
  enc?: Encoding;
  until: number;
  /** Bytes as stored; absent where that is not known. */
  size?: number;
}

/** One confirmed PUT of a bundle. */
export interface JournalBundle {
  /** SHA-256 of the tar in hex. */
  bundle: string;
  version: string;
  until: number;
  /** Bytes of the tar; absent in journals of before. */
  stored?: number;
  /** SHA-256 in hex, offset, length and encoding of each. */
  members: { sha: string; off: number; len: number; enc?: Encoding }[];
}

export type JournalEntry = JournalObject | JournalBundle;

export interface JournalHead {
  store: string;
  backupName: string;
}

/**
 * What the run under way has had confirmed, appended as it happens, so that a run that was killed sends nothing
 * twice. A line is eight hex digits of CRC-32, a space and JSON. Written through to the kernel at once, which is what
 * outlives a SIGKILL; after a power cut a lost tail costs requests, never data.
 */
export class Journal {
  readonly path: string;
  #fd: number | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Goes on with the journal of an interrupted run where `keep` is set, otherwise begins a new one. */
  static open(path: string, head: JournalHead, keep: boolean): Journal {
    const journal = new Journal(path, openSync(path, keep ? 'a' : 'w', 0o600));
    // After a torn last line the newline makes ours whole again; an empty line is nothing.
    if (keep) journal.#write('\n');
    else journal.#append(head);
    return journal;
  }

  add(entry: JournalEntry): void {
    this.#append(entry);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** The run is over and in the catalog. */
  remove(): void {
    this.close();
    rmSync(this.path, { force: true });
  }

  #append(value: JournalHead | JournalEntry): void {
    const json = JSON.stringify(value);
    this.#write(`${checksum(json)} ${json}\n`);
  }

  #write(text: string): void {
    // A confirmation that comes after the end must not go to whatever has the descriptor's number by then.
    if (this.#fd !== undefined) writeSync(this.#fd, text);
  }
}

/** What an interrupted run left, in the order it was confirmed. Each iteration reads the file again. */
export interface JournalReading extends Iterable<JournalEntry> {
  /** The entry confirmed last; undefined where there is none. */
  readonly last: JournalEntry | undefined;
}

/** A line of a whole bundle has 1 MB. */
const LONGEST_LINE = 64 << 20;
const CHUNK = 1 << 20;

/**
 * Reads a journal. Lines that do not match their checksum are passed over. Undefined where there is no journal, or one
 * of another store or backup name than those. In pieces: that of a first run of millions of files is longer than any text can be.
 */
export function readJournal(path: string, expected: readonly JournalHead[]): JournalReading | undefined {
  let last: JournalEntry | undefined;
  try {
    const [head] = linesOf(path);
    const { store, backupName } = (head ?? {}) as Partial<JournalHead>;
    if (!expected.some((one) => one.store === store && one.backupName === backupName)) return undefined;
    for (const entry of entriesOf(path)) last = entry;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  return { last, [Symbol.iterator]: () => entriesOf(path) };
}

function* entriesOf(path: string): Generator<JournalEntry> {
  let isHead = true;
  for (const value of linesOf(path)) {
    if (!isHead && value !== undefined && ('sha' in value || 'bundle' in value)) yield value;
    isHead = false;
  }
}

/** Undefined for a line that is none. */
function* linesOf(path: string): Generator<JournalHead | JournalEntry | undefined> {
  const splitter = new LineSplitter(LONGEST_LINE);
  const fd = openSync(path, 'r');
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafeSlow(CHUNK);
      const length = readSync(fd, chunk, 0, CHUNK, null);
      // The last line may have lost its end.
      const lines = splitter.push(length === 0 ? Buffer.from('\n') : chunk.subarray(0, length));
      if (lines === undefined) return;
      yield* lines.map(parseLine);
      if (length === 0) return;
    }
  } finally {
    closeSync(fd);
  }
}

function parseLine(line: Buffer): JournalHead | JournalEntry | undefined {
  const json = line.subarray(CRC_DIGITS + 1);
  if (json.length === 0 || checksum(json) !== line.toString('latin1', 0, CRC_DIGITS)) return undefined;
  return JSON.parse(json.toString()) as JournalHead | JournalEntry;
}

const CRC_DIGITS = 8;

function checksum(json: string | Buffer): string {
  return crc32(json).toString(16).padStart(CRC_DIGITS, '0');
}
