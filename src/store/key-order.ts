import { pathFromText } from '../files/byte-path.js';

/** Order of keys in every listing: by the bytes of their UTF-8 form, as S3 has it. */
export function compareKeys(a: string, b: string): number {
  const left = pathFromText(a);
  const right = pathFromText(b);
  return left < right ? -1 : left > right ? 1 : 0;
}
