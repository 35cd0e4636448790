import type { BlockRef, ManifestLine, ObjectRef } from '../manifest/types.js';
import type { NamedVersion } from './version-table.js';

const CONTENT = 'content/';
const BUNDLES = 'bundles/';

/** A version as an entry names it, and how many unencoded bytes it holds of that entry at least. */
export interface Reference {
  version: NamedVersion;
  size: number;
  /** Where it begins, of a part of a bundle. */
  off?: number;
}

/**
 * The versions that a manifest's line names, each once per block. A whole content comes with what it must hash to;
 * a part of a bundle names the bundle, whose key is the SHA-256 of all of it.
 */
export function referencesOf(line: ManifestLine): Reference[] {
  if ((line.typ !== 'f' && line.typ !== 's') || line.dat === null) return [];
  const { dat, sha, size } = line;
  if (Array.isArray(dat)) {
    const blocks = dat.map((block) => referenceOf(block, block.size, undefined));
    if (line.typ === 'f' || line.index === undefined) return blocks;
    return [...blocks, referenceOf(line.index, 0, undefined)];
  }
  return [referenceOf(dat, size ?? 0, sha)];
}

function referenceOf(ref: ObjectRef | BlockRef, size: number, sha: string | undefined): Reference {
  const { key, ver } = ref;
  const enc = ref.encIn ?? ref.enc;
  if (ref.off !== undefined) return { version: { key, ver }, size: 0, off: ref.off };
  if (key.startsWith(BUNDLES)) return { version: { key, ver }, size: 0 };
  if (key.startsWith(CONTENT)) return { version: { key, ver, enc }, size };
  return { version: { key, ver, enc, sha }, size };
}

/**
 * Whether a file's whole content stands under a key that says another SHA-256 than its line: then one of the two is
 * wrong, whatever the bytes are.
 */
export function contradictsItself(line: ManifestLine): boolean {
  if (line.typ !== 'f' || line.dat === null || Array.isArray(line.dat)) return false;
  const { key, off } = line.dat;
  return off === undefined && key.startsWith(CONTENT) && key !== `${CONTENT}${line.sha}`;
}
