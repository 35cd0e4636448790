import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseDataName, SET_ASIDE_FOLDER } from './directory-layout.js';
import { isMissing } from './directory-size.js';
import type { VersionName } from './port.js';

/**
 * The versions below `set-aside/`, from the names of the files there. Others (sidecars that could not be read, an
 * earlier copy of the same version) stand for nothing.
 */
export async function listSetAside(root: string): Promise<VersionName[]> {
  const folder = join(root, SET_ASIDE_FOLDER);
  const versions: VersionName[] = [];
  for (const entry of await entriesBelow(folder)) {
    const { name, version } = parseDataName(entry.name);
    if (version === undefined || !entry.isFile()) continue;
    versions.push({ key: join(relative(folder, entry.parentPath), name), version });
  }
  return versions;
}

async function entriesBelow(folder: string) {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
