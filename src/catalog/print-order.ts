import { FrameReader, FrameWriter } from './frames.js';

/**
 * In which order the pickers printed the paths of a catalog's entries, so that the next run need not search for them: a
 * guess that each time is checked. A word is an entry's number; with {@link LEADS_TO} the entry is a symlink's, and the
 * next word is the number of the entry it leads to.
 */
export const LEADS_TO = 0x8000_0000;
/** In place of a number: none. */
export const NO_ENTRY = 0x7fff_ffff;

const WORDS_FRAME = 1;
const WORDS_PER_FRAME = 1 << 18;

/** Not made last: a file that is lost or cut costs the next run time, and nothing else. */
export function writePrintOrder(path: string, order: Uint32Array): void {
  const frames = new FrameWriter(path);
  for (let at = 0; at < order.length; at += WORDS_PER_FRAME) {
    const words = order.subarray(at, at + WORDS_PER_FRAME);
    frames.write(WORDS_FRAME, Buffer.from(words.buffer, words.byteOffset, words.byteLength));
  }
  frames.finish();
}

/** Empty where it cannot be read. */
export function readPrintOrder(path: string): Uint32Array {
  const pieces: Buffer[] = [];
  try {
    const frames = new FrameReader(path);
    try {
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) pieces.push(frame.payload);
    } finally {
      frames.close();
    }
  } catch {
    return new Uint32Array(0);
  }
  const bytes = Buffer.concat(pieces);
  return new Uint32Array(Uint8Array.from(bytes).buffer, 0, bytes.length >> 2);
}
