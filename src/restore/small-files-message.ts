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
  bytes: Uint8Array;
  /** How many of them are each file's. */
  lengths: number[];
}

const FIELDS = 18;

/** {@link SmallFilesMessage.fields}. */
export function fieldsOf(files: readonly SmallFile[]): unknown[] {
  const fields: unknown[] = [];
  // Of many files in one bundle its key stands there once.
  let last: LocalPart | undefined;
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
      file.what,
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
  }
  return fields;
}

export function filesIn(fields: readonly unknown[]): SmallFile[] {
  const files: SmallFile[] = [];
  let key = '';
  let ver = '';
  for (let at = 0; at < fields.length; at += FIELDS) {
    const size = fields[at + 5] as number;
    const enc = fields[at + 3] as Encoding | undefined;
    const object = fields[at + 13] as string | undefined;
    const rest = fields[at + 17] as number | readonly LocalPart[] | undefined;
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
      what: fields[at + 4] as string,
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
