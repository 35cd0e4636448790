import {
  CURRENT,
  DOUBTFUL,
  type EntryBlock,
  MANY_OBJECTS,
  ONE_OBJECT,
  SETTLED,
} from '../catalog/entry-blocks.js';
import { FileStat } from '../files/stat.js';
import { formatLine } from '../manifest/lines.js';
import type { FileEntry, SymlinkEntry } from '../manifest/types.js';
import type { OutputEntry } from './entry-output.js';

/** An entry of the last catalog whose file is as it was, as it goes into the next. */
export function keptEntry(block: EntryBlock, index: number): OutputEntry {
  const flags = block.flags(index);
  const sha = (flags & ONE_OBJECT) === 0 ? undefined : block.bytes;
  const entry = {
    path: block.path(index),
    line: block.line(index),
    flags: (flags & (SETTLED | ONE_OBJECT | MANY_OBJECTS | DOUBTFUL)) | CURRENT,
    stat: block.bytes,
    statAt: block.statOffset(index),
    sha,
    shaAt: sha === undefined ? 0 : block.shaOffset(index),
    tag: block.tag(index),
  };
  if (block.isOlder(index)) makeCurrent(entry);
  return entry;
}

/**
 * Gives names of several links the id that names new in the catalog get; and what was copied without its lock is
 * doubtful, and is read again in the next run.
 */
function makeCurrent(entry: OutputEntry): void {
  const hasId = entry.line.includes('"id":');
  const hasWarnings = entry.line.includes('"w":');
  if (!hasId && !hasWarnings) return;
  const fields = JSON.parse(entry.line.toString()) as FileEntry | SymlinkEntry;
  if (fields.id !== undefined) {
    const { linkId } = new FileStat(entry.stat, entry.statAt);
    entry.line = Buffer.from(formatLine({ ...fields, id: linkId }));
  }
  if (fields.typ === 'f' && fields.w !== undefined) entry.flags = (entry.flags & ~SETTLED) | DOUBTFUL;
}
