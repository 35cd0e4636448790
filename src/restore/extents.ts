/** What file systems usually allocate by. */
export const PAGE = 4096;
const ZEROS = Buffer.alloc(PAGE);

/** From `start` to before `end`. */
export interface Extent {
  start: number;
  end: number;
}

/**
 * The parts of `bytes`, which stand at `at` in a file, that are no pages of zeros. The pages are the file's: the first
 * piece of one may be short.
 */
export function dataIn(bytes: Uint8Array, at: number): Extent[] {
  if (bytes.length < PAGE) return [{ start: 0, end: bytes.length }];
  const extents: Extent[] = [];
  let open: Extent | undefined;
  for (let start = 0, end = PAGE - (at % PAGE); start < bytes.length; start = end, end += PAGE) {
    end = Math.min(end, bytes.length);
    if (isZero(bytes, start, end)) open = undefined;
    else if (open) open.end = end;
    else extents.push((open = { start, end }));
  }
  return extents;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0 || bytes[end - 1] !== 0) return false;
  return ZEROS.compare(bytes, start, end, 0, end - start) === 0;
}
