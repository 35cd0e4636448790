import type { Encoding } from '../config/compression.js';
import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';
import { type CatalogHead, isCatalogHead } from './head.js';
import { ObjectTable } from './object-table.js';
import { UnprovenContent, type UnprovenRecord } from './unproven-content.js';

/** Frames of the file that holds a catalog's head and the objects it knows. */
const HEAD_FRAME = 1;
const BUNDLES_FRAME = 2;
const OBJECTS_FRAME = 3;
const MEMBERS_FRAME = 4;
const UNPROVEN_FRAME = 5;
const ROWS_PER_FRAME = 4096;
const ENCODING_CODES: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
/** SHA-256, end of the lock u32, encoding u8, length of the version id u8; then the version id. */
const OBJECT_HEAD = 38;
/** SHA-256, bundle u32, offset u32, length u32, encoding u8. */
const MEMBER_SIZE = 45;
/** SHA-256, end of the lock u32, encoding u8, length of the version id u8, stored size f64, MD5; then the version id. */
const UNPROVEN_HEAD = 62;

/** A bundle as it stands in its frame, in the order of their numbers. */
interface BundleRow {
  sha: string;
  version: string;
  until: number;
  size: number;
  live: number;
}

/**
 * Writes head, bundles and objects. Objects that are gone, or whose lock ended before `nowSeconds`, are left out.
 *
 * @param keepLive whether bundles keep the live bytes of the run before: this one saw too little
 * @param unproven read back from a manifest
 */
export function writeObjectsFile(
  path: string,
  head: CatalogHead,
  table: ObjectTable,
  nowSeconds: number,
  keepLive: boolean,
  unproven = new UnprovenContent(),
): void {
  const frames = new FrameWriter(path);
  frames.write(HEAD_FRAME, Buffer.from(JSON.stringify(head)));
  const numbers = writeBundles(frames, table, nowSeconds, keepLive);
  const objects = new RowFrames(frames, OBJECTS_FRAME);
  const members = new RowFrames(frames, MEMBERS_FRAME);
  for (let row = 0; row < table.size; row++) {
    if (table.isGone(row) || table.until(row) < nowSeconds) continue;
    if (table.isMember(row)) members.add(memberRow(table, row, numbers));
    else objects.add(objectRow(table, row));
  }
  objects.flush();
  members.flush();
  const unprovenRows = new RowFrames(frames, UNPROVEN_FRAME);
  for (const record of unproven.records()) unprovenRows.add(unprovenRow(record));
  unprovenRows.flush();
  frames.finish();
}

/** Returns the number each bundle has in the file. */
function writeBundles(
  frames: FrameWriter,
  table: ObjectTable,
  nowSeconds: number,
  keepLive: boolean,
): ReadonlyMap<number, number> {
  const numbers = new Map<number, number>();
  const rows: BundleRow[] = [];
  for (let bundle = 0; bundle < table.bundles.size; bundle++) {
    const { sha, version, until, size, live, lastLive, gone } = table.bundles.get(bundle);
    if (gone || until < nowSeconds) continue;
    numbers.set(bundle, rows.length);
    rows.push({
      sha: sha.toString('hex'),
      version,
      until,
      size,
      live: keepLive ? Math.max(live, lastLive) : live,
    });
  }
  frames.write(BUNDLES_FRAME, Buffer.from(JSON.stringify(rows)));
  return numbers;
}

class RowFrames {
  readonly #frames: FrameWriter;
  readonly #type: number;
  #rows: Buffer[] = [];

  constructor(frames: FrameWriter, type: number) {
    this.#frames = frames;
    this.#type = type;
  }

  add(row: Buffer): void {
    this.#rows.push(row);
    if (this.#rows.length === ROWS_PER_FRAME) this.flush();
  }

  flush(): void {
    if (this.#rows.length > 0) this.#frames.write(this.#type, Buffer.concat(this.#rows));
    this.#rows = [];
  }
}

function unprovenRow(record: UnprovenRecord & { sha: Buffer }): Buffer {
  const version = Buffer.from(record.version, 'latin1');
  const bytes = Buffer.alloc(UNPROVEN_HEAD + version.length);
  record.sha.copy(bytes, 0);
  bytes.writeUInt32LE(record.until, 32);
  bytes.writeUInt8(ENCODING_CODES.indexOf(record.enc), 36);
  bytes.writeUInt8(version.length, 37);
  bytes.writeDoubleLE(record.size, 38);
  record.md5.copy(bytes, 46);
  version.copy(bytes, UNPROVEN_HEAD);
  return bytes;
}

function objectRow(table: ObjectTable, row: number): Buffer {
  const version = Buffer.from(table.version(row), 'latin1');
  const bytes = Buffer.alloc(OBJECT_HEAD + version.length);
  table.sha(row).copy(bytes, 0);
  bytes.writeUInt32LE(table.until(row), 32);
  bytes.writeUInt8(ENCODING_CODES.indexOf(table.encoding(row)), 36);
  bytes.writeUInt8(version.length, 37);
  version.copy(bytes, OBJECT_HEAD);
  return bytes;
}

function memberRow(table: ObjectTable, row: number, numbers: ReadonlyMap<number, number>): Buffer {
  const { bundle, off, len, enc } = table.member(row);
  const bytes = Buffer.alloc(MEMBER_SIZE);
  table.sha(row).copy(bytes, 0);
  bytes.writeUInt32LE(numbers.get(bundle) ?? 0, 32);
  bytes.writeUInt32LE(off, 36);
  bytes.writeUInt32LE(len, 40);
  bytes.writeUInt8(ENCODING_CODES.indexOf(enc), 44);
  return bytes;
}

/** What {@link writeObjectsFile} wrote. */
export interface ObjectsFile {
  head: CatalogHead;
  table: ObjectTable;
  unproven: UnprovenContent;
}

/** Reads all of it, or throws {@link FramesDamaged} (or Node's ENOENT). */
export function readObjectsFile(path: string): ObjectsFile {
  const frames = new FrameReader(path);
  try {
    const first = frames.next();
    const head: unknown = first?.type === HEAD_FRAME ? JSON.parse(first.payload.toString()) : undefined;
    if (!isCatalogHead(head)) throw new FramesDamaged('it has no head, or one of another format');
    const table = new ObjectTable();
    const unproven = new UnprovenContent();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.type === BUNDLES_FRAME) readBundles(frame.payload, table);
      else if (frame.type === OBJECTS_FRAME) readObjects(frame.payload, table);
      else if (frame.type === MEMBERS_FRAME) readMembers(frame.payload, table);
      else if (frame.type === UNPROVEN_FRAME) readUnproven(frame.payload, unproven);
    }
    return { head, table, unproven };
  } finally {
    frames.close();
  }
}

function readBundles(payload: Buffer, table: ObjectTable): void {
  for (const { sha, version, until, size, live } of JSON.parse(payload.toString()) as BundleRow[]) {
    table.bundles.add({ sha: Buffer.from(sha, 'hex'), version, until, size }, live);
  }
}

function readObjects(payload: Buffer, table: ObjectTable): void {
  for (let at = 0; at < payload.length; ) {
    const versionLength = payload.readUInt8(at + 37);
    table.set(payload, at, {
      until: payload.readUInt32LE(at + 32),
      enc: ENCODING_CODES[payload.readUInt8(at + 36)],
      version: payload.toString('latin1', at + OBJECT_HEAD, at + OBJECT_HEAD + versionLength),
    });
    at += OBJECT_HEAD + versionLength;
  }
}

function readMembers(payload: Buffer, table: ObjectTable): void {
  for (let at = 0; at < payload.length; at += MEMBER_SIZE) {
    table.setMember(payload, at, {
      bundle: payload.readUInt32LE(at + 32),
      off: payload.readUInt32LE(at + 36),
      len: payload.readUInt32LE(at + 40),
      enc: ENCODING_CODES[payload.readUInt8(at + 44)],
    });
  }
}

function readUnproven(payload: Buffer, unproven: UnprovenContent): void {
  for (let at = 0; at < payload.length; ) {
    const versionAt = at + UNPROVEN_HEAD;
    const versionLength = payload.readUInt8(at + 37);
    unproven.add(payload, at, {
      until: payload.readUInt32LE(at + 32),
      enc: ENCODING_CODES[payload.readUInt8(at + 36)],
      size: payload.readDoubleLE(at + 38),
      md5: payload.subarray(at + 46, versionAt),
      version: payload.toString('latin1', versionAt, versionAt + versionLength),
    });
    at = versionAt + versionLength;
  }
}
