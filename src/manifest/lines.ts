import type { ManifestLine } from './types.js';

/** Bytes that a line may have without its newline: a file of about 400,000 blocks. */
export const LONGEST_LINE = 64 * 1024 * 1024;

/** One line of a manifest with its newline. */
export function formatLine(line: ManifestLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Bytes before the path in an entry's line. */
export const PATH_OFFSET = '{"typ":"f","path":"'.length;
