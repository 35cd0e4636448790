import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BlockRecords, CURRENT, EntryBlockWriter, SETTLED } from '#src/catalog/entry-blocks.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { PACKED_STAT_SIZE } from '#src/files/stat.js';
import { memberHash } from '#src/manifest/member.js';

/** An entry of a catalog that is not of a real run. */
export interface CatalogEntry {
  path: BytePath;
  /** Default: zeros. */
  stat?: Buffer;
  /** Default: yes. */
  settled?: boolean;
  /** As the first previews wrote it, which took files of stated size 0 for empty. Default: no. */
  older?: boolean;
  /** Default: the path. */
  line?: string;
}

/** The files of a catalog, and what is where in them. */
export interface CatalogFiles {
  entriesPath: string;
  manifestPath: string;
  /** Where in it the first block's member begins. */
  membersAt: number;
  /** The gzip member of each block. */
  members: Buffer[];
  /** Where each block's payload is in the file of entries. */
  payloads: { start: number; length: number }[];
}

/** Writes files of entries and their manifest into a folder, as a run would leave them; blocks in order. */
export function writeCatalog(folder: string, blocks: readonly (readonly CatalogEntry[])[]): CatalogFiles {
  const entriesPath = join(folder, 'entries');
  const manifestPath = join(folder, 'manifest.jsonl.gz');
  const writer = new EntryBlockWriter(entriesPath);
  const header = gzipSync('the header\n');
  const members: Buffer[] = [];
  const payloads: CatalogFiles['payloads'] = [];
  let frameAt = 0;
  for (const block of blocks) {
    const records = new BlockRecords();
    let lines = '';
    for (const entry of block) {
      const { path, stat = Buffer.alloc(PACKED_STAT_SIZE), settled = true, older = false } = entry;
      const line = entry.line === undefined ? path.replaceAll('\n', ' ') : pathFromText(entry.line);
      lines += `${line}\n`;
      const flags = (settled ? SETTLED : 0) | (older ? 0 : CURRENT);
      records.add(path, lines.length, flags, stat, 0, undefined, 0, 0);
    }
    const member = gzipSync(Buffer.from(lines, 'latin1'), { level: 1 });
    const place = { length: member.length, hash: memberHash(member) };
    const payload = records.payload(lines.length, place);
    writer.write(payload);
    members.push(member);
    payloads.push({ start: frameAt + 24, length: payload.length });
    frameAt += 24 + Math.ceil(payload.length / 8) * 8;
  }
  writer.finish();
  writeFileSync(manifestPath, Buffer.concat([header, ...members]));
  return { entriesPath, manifestPath, membersAt: header.length, members, payloads };
}

/** Cut into blocks of these sizes, which come again and again. */
export function inBlocks<Entry>(entries: readonly Entry[], sizes: readonly number[]): Entry[][] {
  const blocks: Entry[][] = [];
  for (let start = 0; start < entries.length; ) {
    const block = entries.slice(start, start + (sizes[blocks.length % sizes.length] ?? 1));
    blocks.push(block);
    start += block.length;
  }
  return blocks;
}
