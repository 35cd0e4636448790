import type { BytePath } from '../files/byte-path.js';
import { textOfPath } from '../files/byte-path.js';
import type { ManifestLine } from './types.js';

/** One line of a manifest with its newline. */
export function formatLine(line: ManifestLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Bytes before the path in an entry's line. */
export const PATH_OFFSET = '{"typ":"f","path":"'.length;

/**
 * Whether the path's bytes stand in the line as they are, from {@link PATH_OFFSET} on: where it is UTF-8 and JSON
 * escapes nothing in it.
 */
export function standsInLine(path: BytePath): boolean {
  return !/["\\\x00-\x1f]/.test(path) && textOfPath(path) !== undefined;
}
