import type { ManifestLine } from './types.js';

/** One line of a manifest with its newline. */
export function formatLine(line: ManifestLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Bytes before the path in an entry's line. */
export const PATH_OFFSET = '{"typ":"f","path":"'.length;
