import { isRecord, isWholeNumber, SHA256, shown } from './fields.js';
import { LineFault } from './line-fault.js';

const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Checks `dat`, `sha` and `size` of a file or snapshot, and that they agree with each other. */
export function validateData(line: Record<string, unknown>): void {
  const { dat, sha, size } = line;
  if (typeof sha !== 'string' || !SHA256.test(sha)) throw new LineFault('`sha` is no SHA-256 in hex');
  if (!isWholeNumber(size)) throw new LineFault(`\`size\` is ${shown(size)}`);
  if (dat === null) {
    if (size !== 0 || sha !== SHA256_OF_NOTHING) throw new LineFault('has no `dat`, and is not empty');
  } else if (Array.isArray(dat)) {
    const total = dat.reduce<number>((sum, block) => sum + lengthOfBlock(block), 0);
    if (total !== size)
      throw new LineFault(`has blocks of ${total} bytes together, and a \`size\` of ${size}`);
  } else {
    validateRef(dat);
  }
}

function lengthOfBlock(block: unknown): number {
  const { size, n = 1 } = validateRef(block);
  if (!isWholeNumber(size) || size === 0) throw new LineFault(`has a block whose \`size\` is ${shown(size)}`);
  if (!isWholeNumber(n) || n === 0) throw new LineFault(`has a block whose \`n\` is ${shown(n)}`);
  return size * n;
}

/** Checks a reference to an object. */
export function validateRef(ref: unknown): Record<string, unknown> {
  if (!isRecord(ref)) throw new LineFault('has a `dat` or `index` that is no object');
  const { key, ver, enc, off, len } = ref;
  if (typeof key !== 'string' || !isKey(key)) throw new LineFault(`names the key ${shown(key)}`);
  if (typeof ver !== 'string') throw new LineFault(`names the version ${shown(ver)}`);
  if (enc !== undefined && enc !== 'gzip' && enc !== 'zstd')
    throw new LineFault(`has the encoding ${shown(enc)}`);
  if ((off === undefined) !== (len === undefined)) throw new LineFault('has only one of `off` and `len`');
  if (off !== undefined && !isWholeNumber(off)) throw new LineFault(`has the \`off\` ${shown(off)}`);
  if (len !== undefined && !isWholeNumber(len)) throw new LineFault(`has the \`len\` ${shown(len)}`);
  return ref;
}

const CONTENT_KEY = /^(?:content\/[0-9a-f]{64}|bundles\/[0-9a-f]{64}\.tar)$/;
/** Found right before: thousands of entries name the same bundle, one after the other. */
let rightKey = '';
const UNSAFE_SEGMENT = /(?:^|\/)\.{0,2}(?:\/|$)/;

/**
 * Whether data may be read from this key. In a directory store keys are paths, so one that leads out of the
 * folder must never reach it. 1024 bytes is S3's limit.
 */
function isKey(key: string): boolean {
  if (key === rightKey) return true;
  if (CONTENT_KEY.test(key)) {
    rightKey = key;
    return true;
  }
  return key.length <= 1024 && !key.includes('\0') && !UNSAFE_SEGMENT.test(key);
}
