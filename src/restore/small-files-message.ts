import type { Encoding } from '../config/compression.js';
import type { WantedMetadata } from '../files/apply.js';
import type { BytePath } from '../files/byte-path.js';
import type { LocalPart, SmallFile } from './small-files.js';

/**
 * Several files for one thread. Those encoded with gzip come first. All that is said of them is one flat list, since
 * handing over an object for each took longer than writing most files does.
 */
export interface SmallFilesMessage {
  id: number;
  fields: unknown[];
  /** The stored bytes that come along, file after file. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Memory of all threads that has the other files' stored bytes. */
  shared: SharedArrayBuffer[];
  /** For each file: in which of `shared` its bytes are (-1: in `bytes`), from where on, and how many. */
  places: number[];
}

const FIELDS = 18;
const OWN = -1;

/** The stored bytes of all files, copied but for those that all threads can read. */
export function packed(
  stored: readonly Uint8Array[],
): Pick<SmallFilesMessage, 'bytes' | 'shared' | 'places'> {
  const shared: SharedArrayBuffer[] = [];
  const places: number[] = [];
  let length = 0;
  for (const { buffer, byteOffset, byteLength } of stored) {
    if (buffer instanceof SharedArrayBuffer) {
      let at = shared.lastIndexOf(buffer);
      if (at < 0) at = shared.push(buffer) - 1;
      places.push(at, byteOffset, byteLength);
    } else {
      places.push(OWN, length, byteLength);
      length += byteLength;
    }
  }
  const bytes = new Uint8Array(length);
  for (const [index, each] of stored.entries())
    if (places[index * 3] === OWN) bytes.set(each, places[index * 3 + 1]);
  return { bytes, shared, places };
}

/** The stored bytes of each file. */
export function unpacked({ bytes, shared, places }: SmallFilesMessage): Uint8Array[] {
  const stored: Uint8Array[] = [];
  for (let at = 0; at < places.length; at += 3)
    stored.push(new Uint8Array(shared[places[at] ?? OWN] ?? bytes.buffer, places[at + 1], places[at + 2]));
  return stored;
}

/** {@link SmallFilesMessage.fields}. */
export function fieldsOf(files: readonly SmallFile[]): unknown[] {
  const fields: unknown[] = [];
  // Of many files in one bundle its key stands there once.
  let last: LocalPart | undefined;
  let lastWhat: string | undefined;
  for (const file of files) {
    const { uid, gid, mode, mtimeNs, xattr, acl, defaultAcl } = file.wanted;
    const hasMore = xattr !== undefined || acl !== undefined || defaultAcl !== undefined;
    // Of a block that is repeated the size is not the file's.
    const only = file.parts?.length === 1 && file.parts[0]?.times === 1 ? file.parts[0] : undefined;
    const isSame = only !== undefined && last?.key === only.key && last.ver === only.ver;
    fields.push(
      file.folder,
      file.name,
      file.temporary,
      only ? only.enc : file.enc,
      file.what === lastWhat ? undefined : file.what,
      file.size,
      file.sha,
      file.wantsInode,
      uid,
      gid,
      mode,
      mtimeNs,
      hasMore ? { xattr, acl, defaultAcl } : undefined,
      isSame ? '' : only?.key,
      isSame ? '' : only?.ver,
      only?.off,
      only?.len,
      only ? only.times : file.parts,
    );
    last = only ?? last;
    lastWhat = file.what;
  }
  return fields;
}

export function filesIn(fields: readonly unknown[]): SmallFile[] {
  const files: SmallFile[] = [];
  let key = '';
  let ver = '';
  let what = '';
  for (let at = 0; at < fields.length; at += FIELDS) {
    const size = fields[at + 5] as number;
    const enc = fields[at + 3] as Encoding | undefined;
    const object = fields[at + 13] as string | undefined;
    const rest = fields[at + 17] as number | readonly LocalPart[] | undefined;
    what = (fields[at + 4] as string | undefined) ?? what;
    let parts = typeof rest === 'number' ? undefined : rest;
    if (typeof rest === 'number') {
      if (object !== '') [key, ver] = [object ?? '', fields[at + 14] as string];
      const [off, len] = [fields[at + 15], fields[at + 16]] as (number | undefined)[];
      parts = [{ key, ver, enc, off, len, size, times: rest }];
    }
    files.push({
      folder: fields[at] as number,
      name: fields[at + 1] as BytePath,
      temporary: fields[at + 2] as BytePath,
      enc,
      what,
      size,
      sha: fields[at + 6] as string,
      wantsInode: fields[at + 7] as boolean,
      wanted: wantedIn(fields, at + 8),
      parts,
    });
  }
  return files;
}

function wantedIn(fields: readonly unknown[], at: number): WantedMetadata {
  const wanted: WantedMetadata = {};
  const [uid, gid, mode] = [fields[at], fields[at + 1], fields[at + 2]] as (number | undefined)[];
  const mtimeNs = fields[at + 3] as bigint | undefined;
  if (uid !== undefined) wanted.uid = uid;
  if (gid !== undefined) wanted.gid = gid;
  if (mode !== undefined) wanted.mode = mode;
  if (mtimeNs !== undefined) wanted.mtimeNs = mtimeNs;
  const more = fields[at + 4] as Pick<WantedMetadata, 'xattr' | 'acl' | 'defaultAcl'> | undefined;
  return more ? Object.assign(wanted, more) : wanted;
}
