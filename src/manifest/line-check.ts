import { createHash, type Hash } from 'node:crypto';
import { addUp } from '../add-up.js';
import type { BytePath } from '../files/byte-path.js';
import { LineFault } from './line-fault.js';
import { entryPath } from './paths.js';
import type { PeekedEntry } from './peek.js';
import type { FileSystemEntry, ManifestFooter, ManifestHeader, ManifestLine } from './types.js';
import { validateLine } from './validate.js';

/** Parts of a manifest in their order. */
const PARTS = { manifest: 0, d: 1, l: 1, f: 1, s: 2, problem: 3, end: 4 } as const;
const PART_NAMES = ['header', 'entries', 'snapshots', 'problems', 'footer'];

const NEWLINE = Buffer.from('\n');

/**
 * Takes the lines of one manifest in order and checks each, their order, and at the footer whether all of it adds
 * up. Every fault is a {@link LineFault}.
 */
export class LineCheck {
  header: ManifestHeader | undefined;
  footer: ManifestFooter | undefined;
  /** The footer's line as it was, newline included. */
  footerBytes: Buffer | undefined;
  /** Of the line taken last, from 1. */
  lineNumber = 0;

  private readonly hash: Hash | undefined;
  private part = -1;
  private lastPath: BytePath | undefined;
  private readonly counts = { d: 0, l: 0, f: 0, s: 0, problems: 0 };
  /** Not known any more where a file was passed over. */
  private bytes: number | undefined = 0;

  /** `hashed`: whether the footer's SHA-256 is checked; false where the same bytes were checked before. */
  constructor(hashed: boolean) {
    this.hash = hashed ? createHash('sha256') : undefined;
  }

  take(bytes: Buffer): ManifestLine {
    this.lineNumber += 1;
    if (this.footer) throw new LineFault('comes after the footer');
    const line = parseLine(bytes);
    this.order(line);
    if (line.typ === 'end') {
      this.total(line);
      this.footer = line;
      this.footerBytes = Buffer.concat([bytes, NEWLINE]);
      return line;
    }
    this.hash?.update(bytes).update(NEWLINE);
    this.count(line);
    return line;
  }

  /** Takes the line of an entry without parsing it: of its fields, only kind and path are looked at. */
  pass(bytes: Buffer, { typ, path }: PeekedEntry): void {
    this.lineNumber += 1;
    if (this.footer) throw new LineFault('comes after the footer');
    this.orderOfParts(typ);
    this.orderOfPaths(path);
    this.hash?.update(bytes).update(NEWLINE);
    this.counts[typ] += 1;
    if (typ === 'f') this.bytes = undefined;
  }

  private order(line: ManifestLine): void {
    this.orderOfParts(line.typ);
    if (this.part === PARTS.d) this.orderOfPaths(entryPath(line as FileSystemEntry));
  }

  private orderOfParts(typ: ManifestLine['typ']): void {
    const part = PARTS[typ];
    if (this.part === -1 && part !== 0) throw new LineFault('is the first, and no header');
    if (part === 0 && this.part !== -1) throw new LineFault('is a second header');
    if (part < this.part)
      throw new LineFault(`is out of order (${PART_NAMES[part]} after ${PART_NAMES[this.part]})`);
    this.part = part;
  }

  private orderOfPaths(path: BytePath): void {
    if (this.lastPath !== undefined && path <= this.lastPath)
      throw new LineFault('has a path that does not come after the one before it');
    this.lastPath = path;
  }

  private count(line: ManifestLine): void {
    if (line.typ === 'manifest') this.header = line;
    else if (line.typ === 'problem') this.counts.problems += 1;
    else if (line.typ !== 'end') this.counts[line.typ] += 1;
    if (this.bytes !== undefined && (line.typ === 'f' || line.typ === 's'))
      this.bytes = addUp(this.bytes, line.size ?? 0);
  }

  private total(footer: ManifestFooter): void {
    if (this.hash && this.hash.digest('hex') !== footer.sha256)
      throw new LineFault('is a footer whose SHA-256 is not that of the lines before it');
    for (const kind of ['d', 'l', 'f', 's', 'problems'] as const)
      if (footer.counts[kind] !== this.counts[kind])
        throw new LineFault(
          `is a footer that counts ${footer.counts[kind]} lines of \`${kind}\` where there are ${this.counts[kind]}`,
        );
    if (this.bytes !== undefined && footer.bytes !== this.bytes)
      throw new LineFault(`is a footer that counts ${footer.bytes} bytes where there are ${this.bytes}`);
  }
}

/** One line, checked by itself. Throws a {@link LineFault}. */
export function parseLine(bytes: Buffer): ManifestLine {
  return validateLine(parse(bytes));
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new LineFault('is no JSON');
  }
}
