import { statSync } from 'node:fs';
import { OwnMemory } from '../own-memory.js';
import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';
import { type CatalogHead, isCatalogHead } from './head.js';
import { linkFile } from './link-file.js';
import { emptyRows, packRows, releaseRows, ROW_SIZE, unpackRows } from './object-rows.js';
import { ObjectTable } from './object-table.js';
import { UnprovenContent } from './unproven-content.js';
import { readUnproven, unprovenPieces } from './unproven-rows.js';

/** The frame of the file that holds a catalog's head. */
const HEAD_FRAME = 1;
/** Frames of the file that holds the objects it knows. */
const BUNDLES_FRAME = 2;
const ROWS_FRAME = 7;
/** As catalogs of before have them: the column of lengths says nothing of objects that are no members. */
const ROWS_WITHOUT_SIZES_FRAME = 6;
const UNPROVEN_FRAME = 5;
const ROWS_PER_FRAME = 16_384;
const VERSION_BYTES_PER_FRAME = 16 << 20;
/** Version ids may have 1024 bytes, and a frame 64 MiB. */
const BUNDLES_PER_FRAME = 16_384;

/** A bundle as it stands in its frame, in the order of their numbers. */
interface BundleRow {
  sha: string;
  version: string;
  until: number;
  size: number;
  /** Absent in catalogs of before, and where no listing has shown it. */
  stored?: number;
  live: number;
}

export function writeHead(path: string, head: CatalogHead): void {
  const frames = new FrameWriter(path);
  frames.write(HEAD_FRAME, Buffer.from(JSON.stringify(head)));
  frames.finish();
}

export interface ObjectsFileOptions {
  /** Bundles keep the live bytes of the run before: this one saw too little. */
  keepLive?: boolean;
  /** Read back from a manifest. */
  unproven?: UnprovenContent;
  /** The file that the table was read from: where nothing has changed, the new one becomes another name of it. */
  last?: string | undefined;
}

/** Writes bundles and objects. Those that are gone, or whose lock ended before `nowSeconds`, are left out. */
export function writeObjectsFile(
  path: string,
  table: ObjectTable,
  nowSeconds: number,
  { keepLive = false, unproven = new UnprovenContent(), last }: ObjectsFileOptions = {},
): void {
  if (last !== undefined && isAsRead(table, nowSeconds, keepLive) && linkFile(last, path)) return;
  const frames = new FrameWriter(path);
  const numbers = writeBundles(frames, table, nowSeconds, keepLive);
  let chosen: number[] = [];
  let versionBytes = 0;
  for (let row = 0; row < table.size; row++) {
    if (table.isGone(row) || table.until(row) < nowSeconds) continue;
    chosen.push(row);
    if (!table.isMember(row)) versionBytes += table.versionLength(row);
    if (chosen.length < ROWS_PER_FRAME && versionBytes < VERSION_BYTES_PER_FRAME) continue;
    writeRows(frames, table, chosen, numbers);
    chosen = [];
    versionBytes = 0;
  }
  if (chosen.length > 0) writeRows(frames, table, chosen, numbers);
  for (const piece of unprovenPieces(unproven)) frames.write(UNPROVEN_FRAME, piece);
  frames.finish();
}

function isAsRead(table: ObjectTable, nowSeconds: number, keepLive: boolean): boolean {
  if (table.changed) return false;
  const { bundles } = table;
  for (let bundle = 0; bundle < bundles.size; bundle++) {
    const { until, live, lastLive } = bundles.get(bundle);
    if (until < nowSeconds || !(live === lastLive || (keepLive && live < lastLive))) return false;
  }
  for (let row = 0; row < table.size; row++) if (table.until(row) < nowSeconds) return false;
  return true;
}

function writeRows(
  frames: FrameWriter,
  table: ObjectTable,
  chosen: readonly number[],
  numbers: ReadonlyMap<number, number>,
): void {
  let versionBytes = 0;
  for (const row of chosen) if (!table.isMember(row)) versionBytes += table.versionLength(row);
  const rows = emptyRows(chosen.length, versionBytes);
  let versionAt = 0;
  for (const [index, row] of chosen.entries()) {
    const bundle = table.isMember(row) ? (numbers.get(table.bundleOf(row)) ?? 0) : 0;
    versionAt = table.copyRow(row, rows, index, bundle, versionAt);
  }
  frames.give(ROWS_FRAME, OwnMemory.of(packRows(rows)));
  releaseRows(rows);
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
    const { sha, version, until, size, stored, live, lastLive, gone } = table.bundles.get(bundle);
    if (gone || until < nowSeconds) continue;
    numbers.set(bundle, rows.length);
    rows.push({
      sha: sha.toString('hex'),
      version,
      until,
      size,
      ...(stored === undefined ? {} : { stored }),
      live: keepLive ? Math.max(live, lastLive) : live,
    });
  }
  for (let at = 0; at === 0 || at < rows.length; at += BUNDLES_PER_FRAME)
    frames.write(BUNDLES_FRAME, Buffer.from(JSON.stringify(rows.slice(at, at + BUNDLES_PER_FRAME))));
  return numbers;
}

/** Reads what {@link writeHead} wrote. Throws as {@link readObjectsFile} does. */
export function readHead(path: string): CatalogHead {
  const frames = new FrameReader(path);
  try {
    const first = frames.next();
    const head: unknown = first?.type === HEAD_FRAME ? JSON.parse(first.payload.toString()) : undefined;
    if (!isCatalogHead(head)) throw new FramesDamaged('it has no head, or one of another format');
    if (frames.next() !== undefined) throw new FramesDamaged('more than a head');
    // By names that others chose: a snapshotter may be called `constructor`.
    for (const record of [head.pickers, head.snapshots, head.users, head.groups])
      Object.setPrototypeOf(record, null);
    return head;
  } finally {
    frames.close();
  }
}

/** What {@link writeObjectsFile} wrote. */
export interface ObjectsFile {
  table: ObjectTable;
  unproven: UnprovenContent;
}

/** Reads all of it, or throws {@link FramesDamaged} (or Node's ENOENT). */
export function readObjectsFile(path: string): ObjectsFile {
  const frames = new FrameReader(path);
  try {
    const table = new ObjectTable();
    table.reserve(Math.ceil(statSync(path).size / ROW_SIZE));
    const unproven = new UnprovenContent();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.type === BUNDLES_FRAME) readBundles(frame.payload, table);
      else if (frame.type === ROWS_FRAME) readRows(frame.payload, table, true);
      else if (frame.type === ROWS_WITHOUT_SIZES_FRAME) readRows(frame.payload, table, false);
      else if (frame.type === UNPROVEN_FRAME) readUnproven(frame.payload, unproven);
    }
    table.asRead();
    // The file also holds what the next one will not.
    if (unproven.size > 0) table.bundles.changed = true;
    return { table, unproven };
  } finally {
    frames.close();
  }
}

function readBundles(payload: Buffer, table: ObjectTable): void {
  for (const { sha, live, ...bundle } of JSON.parse(payload.toString()) as BundleRow[]) {
    table.bundles.add({ sha: Buffer.from(sha, 'hex'), ...bundle }, live);
  }
}

function readRows(payload: Buffer, table: ObjectTable, withSizes: boolean): void {
  const rows = unpackRows(payload);
  if (rows === undefined) throw new FramesDamaged('rows that are none');
  table.addRows(rows, withSizes);
}
