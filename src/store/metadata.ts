import { decodeWords, encodeWords } from './encoded-words.js';

/** S3's limit on user-defined metadata, keys and values together (S3 User Guide, "Working with metadata"). */
export const METADATA_LIMIT = 2048;
/** Goes over the wire before each key. Whether it counts is not said, so it does. */
const KEY_PREFIX = 'x-amz-meta-';

/** Metadata as it goes over the wire: keys in lower case, values US-ASCII. */
export function encodeMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, text]) => [key.toLowerCase(), encodeWords(text)]),
  );
}

/** Text as it was before {@link encodeMetadata}. */
export function decodeMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), decodeWords(value)]),
  );
}

/** Bytes that metadata takes on the wire. */
export function metadataSize(metadata: Readonly<Record<string, string>>): number {
  let size = 0;
  for (const [key, value] of Object.entries(encodeMetadata(metadata)))
    size += KEY_PREFIX.length + key.length + value.length;
  return size;
}

export interface SnapshotText {
  /** What the snapshotter said about its dump, of any length. */
  description: string;
  /** The command that restores from it. */
  restoreThrough?: string | undefined;
}

/**
 * The metadata of a snapshot's object, within {@link METADATA_LIMIT}: `restore-through` whole, or absent where it
 * does not fit; then as much of the description's end as fits, in `backup-output`, its newlines as `; `.
 */
export function snapshotMetadata({ description, restoreThrough }: SnapshotText): Record<string, string> {
  const through = restoreThrough === undefined ? {} : { 'restore-through': restoreThrough };
  const kept = metadataSize(through) <= METADATA_LIMIT ? through : {};
  const output = endThatFits(
    description.trim().replaceAll(/\r\n?|\n/g, '; '),
    (text) => metadataSize({ ...kept, 'backup-output': text }) <= METADATA_LIMIT,
  );
  return output === '' ? kept : { 'backup-output': output, ...kept };
}

/** The longest end of a text, in whole characters, for which `fits` is true. */
function endThatFits(text: string, fits: (end: string) => boolean): string {
  if (text === '' || fits(text)) return text;
  // Of a long text only what might fit is looked at: a character takes at least a byte.
  const characters = Array.from(text.slice(-2 * METADATA_LIMIT));
  const endOf = (count: number): string =>
    characters
      .slice(characters.length - count)
      .join('')
      .trimStart();
  let [fitting, tooMany] = [0, characters.length + 1];
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (fits(endOf(middle))) fitting = middle;
    else tooMany = middle;
  }
  return fitting === 0 ? '' : endOf(fitting);
}
