import type { Encoding } from '../config/compression.js';
import { FrameReader, FramesDamaged, FrameWriter } from './frames.js';
import { type CatalogHead, isCatalogHead } from './head.js';
import { ObjectTable } from './object-table.js';

/** Frames of the file that holds a catalog's head and the objects it knows. */
const HEAD_FRAME = 1;
const OBJECTS_FRAME = 2;
const ROWS_PER_FRAME = 4096;
const ENCODING_CODES: readonly (Encoding | undefined)[] = [undefined, 'gzip', 'zstd'];
/** SHA-256, end of the lock u32, encoding u8, length of the version id u8. */
const ROW_HEAD = 38;

/** Writes head and objects. Objects that are gone, or whose lock ended before `nowSeconds`, are left out. */
export function writeObjectsFile(
  path: string,
  head: CatalogHead,
  table: ObjectTable,
  nowSeconds: number,
): void {
  const frames = new FrameWriter(path);
  frames.write(HEAD_FRAME, Buffer.from(JSON.stringify(head)));
  let rows: Buffer[] = [];
  const flush = () => {
    if (rows.length > 0) frames.write(OBJECTS_FRAME, Buffer.concat(rows));
    rows = [];
  };
  for (let row = 0; row < table.size; row++) {
    if (table.isGone(row) || table.until(row) < nowSeconds) continue;
    const version = Buffer.from(table.version(row), 'latin1');
    const bytes = Buffer.alloc(ROW_HEAD + version.length);
    table.sha(row).copy(bytes, 0);
    bytes.writeUInt32LE(table.until(row), 32);
    bytes.writeUInt8(ENCODING_CODES.indexOf(table.encoding(row)), 36);
    bytes.writeUInt8(version.length, 37);
    version.copy(bytes, ROW_HEAD);
    rows.push(bytes);
    if (rows.length === ROWS_PER_FRAME) flush();
  }
  flush();
  frames.finish();
}

/** Reads all of it, or throws {@link FramesDamaged} (or Node's ENOENT). */
export function readObjectsFile(path: string): { head: CatalogHead; table: ObjectTable } {
  const frames = new FrameReader(path);
  try {
    const first = frames.next();
    const head: unknown = first?.type === HEAD_FRAME ? JSON.parse(first.payload.toString()) : undefined;
    if (!isCatalogHead(head)) throw new FramesDamaged('it has no head, or one of another format');
    const table = new ObjectTable();
    for (let frame = frames.next(); frame !== undefined; frame = frames.next())
      readRows(frame.payload, table);
    return { head, table };
  } finally {
    frames.close();
  }
}

function readRows(payload: Buffer, table: ObjectTable): void {
  for (let at = 0; at < payload.length; ) {
    const versionLength = payload.readUInt8(at + 37);
    table.set(payload, at, {
      until: payload.readUInt32LE(at + 32),
      enc: ENCODING_CODES[payload.readUInt8(at + 36)],
      version: payload.toString('latin1', at + ROW_HEAD, at + ROW_HEAD + versionLength),
    });
    at += ROW_HEAD + versionLength;
  }
}
