import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Encoding } from '../config/compression.js';
import { errnoOf } from '../errors.js';

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
    this.#write(`${crc32(json).toString(16).padStart(8, '0')} ${json}\n`);
  }

  #write(text: string): void {
    // A confirmation that comes after the end must not go to whatever has the descriptor's number by then.
    if (this.#fd !== undefined) writeSync(this.#fd, text);
  }
}

/**
 * What an interrupted run left, in the order it was confirmed. Lines that do not match their checksum are passed
 * over. Undefined where there is no journal, or one of another store or backup name than those.
 */
export function readJournal(path: string, expected: readonly JournalHead[]): JournalEntry[] | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const values = text.split('\n').map(parseLine);
  const head = values[0] as JournalHead | undefined;
  if (!expected.some(({ store, backupName }) => head?.store === store && head.backupName === backupName))
    return undefined;
  return values
    .slice(1)
    .filter((value): value is JournalEntry => value !== undefined && ('sha' in value || 'bundle' in value));
}

function parseLine(line: string): JournalHead | JournalEntry | undefined {
  const json = line.slice(9);
  if (json === '' || crc32(json).toString(16).padStart(8, '0') !== line.slice(0, 8)) return undefined;
  return JSON.parse(json) as JournalHead | JournalEntry;
}
