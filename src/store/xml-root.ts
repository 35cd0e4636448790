/** What may stand before the root element. */
const PROLOG = /\uFEFF|\xEF\xBB\xBF|\s+|<\?[^]*?\?>|<!--[^]*?-->|<!DOCTYPE[^>]*>/iy;
const NAME = /<(?:[\w.-]+:)?([\w.-]+)/y;
const HEAD = 4096;

/** The name of an XML text's root element, without a prefix; undefined where the text is none. */
export function xmlRoot(body: Uint8Array): string | undefined {
  const head = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, HEAD)).toString('latin1');
  let at = 0;
  for (PROLOG.lastIndex = 0; PROLOG.test(head); ) at = PROLOG.lastIndex;
  NAME.lastIndex = at;
  return NAME.exec(head)?.[1];
}
