import { fileURLToPath } from 'node:url';

/** From dist/src/. They are packed. */
const DOCUMENTS = new URL('../../docs/', import.meta.url);

/** Where a document of this package is installed, for help and hints: `permissions.md`. */
export function documentPath(name: string): string {
  return fileURLToPath(new URL(name, DOCUMENTS));
}
