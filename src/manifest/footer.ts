import { gunzipSync } from 'node:zlib';
import { messageOf, SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';
import { parseManifestKey } from './keys.js';
import { LineFault } from './line-fault.js';
import type { ManifestFooter } from './types.js';
import { validateLine } from './validate.js';

/** How far from a manifest's end its footer's gzip member begins at the most. */
export const FOOTER_REACH = 4096;
const FOOTER_MAX = 64 * 1024;

/**
 * The footer of a manifest, by one request for its last 4 KiB. It tells a run's counts; whether they are true is
 * known only to who reads the whole manifest. Throws DAMAGED where there is no footer, and what the store throws.
 */
export async function readFooter(
  store: Pick<ObjectStore, 'get' | 'description'>,
  key: string,
  version: string,
  size: number,
): Promise<ManifestFooter> {
  const range = { start: Math.max(0, size - FOOTER_REACH), end: size };
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of await store.get(key, version, range)) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    // A store that ignores the range must not fill the memory.
    if (length > FOOTER_REACH) break;
  }
  const member = lastGzipMember(Buffer.concat(chunks));
  if (member === undefined) throw noFooter(store, key);
  const footer = parseFooter(member);
  if (footer instanceof LineFault) throw noFooter(store, key, footer);
  const named = parseManifestKey(key);
  if (named && named.outcome !== footer.outcome)
    throw noFooter(
      store,
      key,
      new LineFault(`says ${footer.outcome} under a key that says ${named.outcome}`),
    );
  return footer;
}

/** The bytes in the gzip member that ends where these bytes end; undefined where none does. */
export function lastGzipMember(tail: Buffer): Buffer | undefined {
  for (let at = tail.length - 18; at >= 0; at -= 1) {
    if (tail[at] !== 0x1f || tail[at + 1] !== 0x8b || tail[at + 2] !== 8) continue;
    const bytes = inflatedToTheEnd(tail.subarray(at));
    if (bytes) return bytes;
  }
  return undefined;
}

function inflatedToTheEnd(member: Buffer): Buffer | undefined {
  // zlib lets zeros after a member pass; the last four bytes of a member are its length, which is not 0 here.
  if (member.readUInt32LE(member.length - 4) === 0) return undefined;
  try {
    const bytes = gunzipSync(member, { maxOutputLength: FOOTER_MAX });
    return bytes.length === member.readUInt32LE(member.length - 4) ? bytes : undefined;
  } catch {
    return undefined;
  }
}

function parseFooter(member: Buffer): ManifestFooter | LineFault {
  if (member.indexOf(10) !== member.length - 1) return new LineFault('is not one line');
  try {
    const line = validateLine(JSON.parse(member.toString('utf8')));
    return line.typ === 'end' ? line : new LineFault(`is of the type ${line.typ}`);
  } catch (error) {
    return new LineFault(messageOf(error));
  }
}

function noFooter(store: Pick<ObjectStore, 'description'>, key: string, fault?: LineFault): SysbackupError {
  const why = fault ? `its last line ${fault.message}` : 'no gzip member ends where it ends';
  return new SysbackupError('DAMAGED', `the manifest ${key} in ${store.description} has no footer: ${why}`, {
    hint: 'It was cut short or changed; use an earlier run (`s3-sysbackup list` shows them).',
  });
}
