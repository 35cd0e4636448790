import type { ObjectTable } from '../catalog/object-table.js';
import { SysbackupError } from '../errors.js';
import type { ObjectStore, VersionName } from '../store/port.js';

const CONTENT = /^content\/([0-9a-f]{64})$/;
const BUNDLE = /^bundles\/([0-9a-f]{64})\.tar$/;

/**
 * Marks as gone what the table knows of the versions that were set aside as damaged and have not been stored again
 * since. Returns how many.
 */
export async function forgetSetAside(
  store: ObjectStore,
  table: ObjectTable,
  versions: readonly VersionName[],
): Promise<number> {
  if (versions.length === 0) return 0;
  const bundles = numbersOfBundles(table);
  const forgotten = versions.map(async ({ key, version }) => {
    const sha = CONTENT.exec(key)?.[1];
    const row = sha === undefined ? -1 : table.find(Buffer.from(sha, 'hex'));
    const isRow = row >= 0 && !table.isMember(row) && !table.isGone(row) && table.version(row) === version;
    const bundle = bundles.get(`${BUNDLE.exec(key)?.[1]} ${version}`);
    if ((!isRow && bundle === undefined) || (await isBack(store, key, version))) return 0;
    if (isRow) table.markGone(row);
    if (bundle !== undefined) table.bundles.markGone(bundle);
    return 1;
  });
  return (await Promise.all(forgotten)).reduce((sum: number, count) => sum + count, 0);
}

function numbersOfBundles({ bundles }: ObjectTable): Map<string, number> {
  const numbers = new Map<string, number>();
  for (let bundle = 0; bundle < bundles.size; bundle++) {
    const { sha, version, gone } = bundles.get(bundle);
    if (!gone) numbers.set(`${sha.toString('hex')} ${version}`, bundle);
  }
  return numbers;
}

async function isBack(store: ObjectStore, key: string, version: string): Promise<boolean> {
  try {
    await store.head(key, version);
    return true;
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
