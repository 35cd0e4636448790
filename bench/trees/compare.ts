import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import { type Found, walk } from './tree.js';

/** What a program does not keep, and which therefore is not asked for. */
export interface NotKept {
  links?: boolean;
  emptyFolders?: boolean;
}

/** Throws where a restored folder has not what the original has: names, kinds, links' targets, every byte. */
export function expectSame(original: string, restored: string, notKept: NotKept = {}): void {
  const isAsked = ({ kind }: Found): boolean =>
    kind !== 'other' &&
    !(kind === 'link' && notKept.links === true) &&
    !(kind === 'folder' && notKept.emptyFolders === true);
  const list = (path: string): [string, Found][] =>
    [...walk(Buffer.from(path))]
      .filter(isAsked)
      .map((found) => [found.path.subarray(Buffer.byteLength(path)).toString('latin1'), found]);
  const back = new Map(list(restored));
  for (const [path, found] of list(original)) {
    const other = back.get(path);
    if (other === undefined) throw new Error(`${path} did not come back`);
    back.delete(path);
    if (!isSame(found, other)) throw new Error(`${path} came back different`);
  }
  const [more] = back.keys();
  if (more !== undefined) throw new Error(`${more} came back and was not there`);
}

function isSame(one: Found, other: Found): boolean {
  if (one.kind !== other.kind) return false;
  if (one.kind === 'link') return readlinkSync(one.path) === readlinkSync(other.path);
  return one.kind !== 'file' || (one.size === other.size && sameBytes(one.path, other.path));
}

const PIECE = 2 ** 20;
const left = Buffer.alloc(PIECE);
const right = Buffer.alloc(PIECE);

function sameBytes(one: Buffer, other: Buffer): boolean {
  const a = openSync(one, 'r');
  const b = openSync(other, 'r');
  try {
    for (;;) {
      const read = readSync(a, left);
      if (readSync(b, right) !== read) return false;
      if (read === 0) return true;
      if (Buffer.compare(left.subarray(0, read), right.subarray(0, read)) !== 0) return false;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}
