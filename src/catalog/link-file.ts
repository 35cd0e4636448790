import { linkSync } from 'node:fs';

/** Makes a file another name of one that is there. False where that cannot be: some file systems have no links. */
export function linkFile(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch {
    return false;
  }
}
