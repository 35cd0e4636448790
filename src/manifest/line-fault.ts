/**
 * What is wrong with one line of a manifest. The reader, which knows the manifest and the line's number, turns it
 * into a DAMAGED error.
 */
export class LineFault extends Error {
  override readonly name = 'LineFault';
}
