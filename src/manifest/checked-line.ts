import { LineFault } from './line-fault.js';
import { formatLine, LONGEST_LINE } from './lines.js';
import type { ManifestLine } from './types.js';
import { validateLine } from './validate.js';

/**
 * One line of a manifest with its newline, found to be one that a reader takes: a single line that it refuses would
 * make all of the manifest worthless. Throws {@link LineFault}.
 */
export function checkedLine(line: ManifestLine): Buffer {
  validateLine(line);
  const bytes = Buffer.from(textOf(line));
  if (isTooLong(bytes.length))
    throw new LineFault(`would have ${bytes.length} bytes, and no reader takes more than ${LONGEST_LINE}`);
  return bytes;
}

/** Whether a line of so many bytes, newline included, is longer than a reader takes. */
export function isTooLong(bytes: number): boolean {
  return bytes - 1 > LONGEST_LINE;
}

function textOf(line: ManifestLine): string {
  try {
    return formatLine(line);
  } catch (error) {
    // What V8 says of a string beyond its own limit, which is half a gigabyte.
    if (!(error instanceof RangeError)) throw error;
    throw new LineFault(`would be too long for memory, and no reader takes more than ${LONGEST_LINE} bytes`);
  }
}
