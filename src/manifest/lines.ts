import type { ManifestLine } from './types.js';

/** One line of a manifest with its newline. */
export function formatLine(line: ManifestLine): string {
  return `${JSON.stringify(line)}\n`;
}
