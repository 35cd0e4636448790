import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';
import { type CatalogHead, isCatalogHead } from './head.js';
import { emptyRows, packRows, unpackRows } from './object-rows.js';
import { ObjectTable } from './object-table.js';
import { UnprovenContent } from './unproven-content.js';
import { readUnproven, unprovenPieces } from './unproven-rows.js';

/** Frames of the file that holds a catalog's head and the objects it knows. */
const HEAD_FRAME = 1;
const BUNDLES_FRAME = 2;
const ROWS_FRAME = 6;
const UNPROVEN_FRAME = 5;
const ROWS_PER_FRAME = 16_384;

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
  let chosen: number[] = [];
  for (let row = 0; row < table.size; row++) {
    if (table.isGone(row) || table.until(row) < nowSeconds) continue;
    chosen.push(row);
    if (chosen.length < ROWS_PER_FRAME) continue;
    writeRows(frames, table, chosen, numbers);
    chosen = [];
  }
  if (chosen.length > 0) writeRows(frames, table, chosen, numbers);
  for (const piece of unprovenPieces(unproven)) frames.write(UNPROVEN_FRAME, piece);
  frames.finish();
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
  frames.write(ROWS_FRAME, packRows(rows));
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

/** Reads the head alone. Throws as {@link readObjectsFile} does. */
export function readHead(path: string): CatalogHead {
  const frames = new FrameReader(path);
  try {
    return nextHead(frames);
  } finally {
    frames.close();
  }
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
    const head = nextHead(frames);
    const table = new ObjectTable();
    const unproven = new UnprovenContent();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
      if (frame.type === BUNDLES_FRAME) readBundles(frame.payload, table);
      else if (frame.type === ROWS_FRAME) readRows(frame.payload, table);
      else if (frame.type === UNPROVEN_FRAME) readUnproven(frame.payload, unproven);
    }
    return { head, table, unproven };
  } finally {
    frames.close();
  }
}

function nextHead(frames: FrameReader): CatalogHead {
  const first = frames.next();
  const head: unknown = first?.type === HEAD_FRAME ? JSON.parse(first.payload.toString()) : undefined;
  if (!isCatalogHead(head)) throw new FramesDamaged('it has no head, or one of another format');
  return head;
}

function readBundles(payload: Buffer, table: ObjectTable): void {
  for (const { sha, version, until, size, live } of JSON.parse(payload.toString()) as BundleRow[]) {
    table.bundles.add({ sha: Buffer.from(sha, 'hex'), version, until, size }, live);
  }
}

function readRows(payload: Buffer, table: ObjectTable): void {
  const rows = unpackRows(payload);
  if (rows === undefined) throw new FramesDamaged('rows that are none');
  table.addRows(rows);
}
