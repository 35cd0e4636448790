import type { FileEntry } from '../manifest/types.js';
import type { ByteRange } from '../store/port.js';
import type { MemberPlace } from './bundle-reader.js';

/** Bundles are fetched by sections of so many bytes: a bundle has eight. */
const SECTION = 4 << 20;
/** Beyond, nothing is planned: no honest manifest has so many, it would be 256 GiB of small files. */
const MOST_SECTIONS = 65_536;
/** Bytes that a request costs as much as: transfer at 20 MB/s in the time that a store takes to begin its answer. */
const REQUEST_WORTH = 256 << 10;

/** What is wanted, and not yet asked for, of one section. A member belongs to the section it begins in. */
interface Section extends ByteRange {
  key: string;
  ver: string;
  members: number;
  bytes: number;
  /** Its place in the order in which they are likely to be asked for: that of the manifest. */
  place: number;
}

/** A section to be fetched with one request. */
export interface WantedSection {
  name: string;
  key: string;
  ver: string;
  range: ByteRange;
  /** Members that are likely to be asked for in there. */
  more: number;
}

/**
 * What a restore will want of each bundle, noted while its manifest is checked; so that sections of which much is
 * wanted come with one request, and of others only what is needed. Takes about 300 bytes for 4 MiB of bundles.
 */
export class BundlePlan {
  readonly #sections = new Map<string, Section>();
  readonly #order: string[] = [];
  #wanted = 0;
  #unwanted = 0;

  /** An entry that is selected. */
  add({ dat }: FileEntry): void {
    const member = memberOf(dat);
    if (!member) return;
    const name = sectionOf(member);
    const { key, ver, off, len } = member;
    const section = this.#sections.get(name);
    if (section) {
      section.start = Math.min(section.start, off);
      section.end = Math.max(section.end, off + len);
      section.members += 1;
      section.bytes += len;
    } else if (this.#sections.size < MOST_SECTIONS) {
      const place = this.#order.push(name) - 1;
      this.#sections.set(name, { key, ver, start: off, end: off + len, members: 1, bytes: len, place });
    }
  }

  /** Its file was there already. */
  unwanted({ dat }: FileEntry): void {
    const member = memberOf(dat);
    if (!member) return;
    this.#unwanted += 1;
    this.#take(member);
  }

  /**
   * A member is asked for: what to fetch with it, and how many more members are likely to be asked for in there.
   * Undefined where it is better fetched by itself.
   */
  wanted(member: MemberPlace): { range: ByteRange; more: number } | undefined {
    const section = this.#sections.get(sectionOf(member));
    this.#wanted += 1;
    if (!section) return undefined;
    const isWorth = this.#isWorthIt(section);
    const range = { start: section.start, end: section.end };
    this.#take(member);
    return isWorth ? { range, more: section.members } : undefined;
  }

  /** Sections that are likely to be asked for after this one, the next ones first, so many at most. */
  after(name: string, count: number): WantedSection[] {
    const place = this.#sections.get(name)?.place;
    if (place === undefined) return [];
    return this.#order.slice(place + 1, place + 1 + count).flatMap((next) => {
      const section = this.#sections.get(next);
      if (!section || section.members === 0 || !this.#isWorthIt(section)) return [];
      const { key, ver, start, end, members } = section;
      return [{ name: next, key, ver, range: { start, end }, more: members }];
    });
  }

  /** A member that came with a section fetched before. */
  came(member: MemberPlace): void {
    this.#wanted += 1;
    this.#take(member);
  }

  /** Whether a section is better fetched whole. */
  #isWorthIt({ start, end, bytes, members }: Section): boolean {
    // Of what is still to come, as many may be there already as were of what has been.
    const share = this.#wanted / Math.max(1, this.#wanted + this.#unwanted);
    return end - start - bytes * share <= (members * share - 1) * REQUEST_WORTH;
  }

  #take(member: MemberPlace): void {
    const section = this.#sections.get(sectionOf(member));
    if (!section) return;
    section.members -= 1;
    section.bytes -= member.len;
  }
}

let last = { key: '', ver: '', section: 0, name: '' };

/** In which section of which bundle a member is. Remembered: of thousands one after the other it is the same. */
export function sectionOf({ key, ver, off }: MemberPlace): string {
  const section = Math.floor(off / SECTION);
  if (last.section !== section || last.key !== key || last.ver !== ver)
    last = { key, ver, section, name: `${section} ${key} ${ver}` };
  return last.name;
}

function memberOf(dat: FileEntry['dat']): MemberPlace | undefined {
  if (dat === null || Array.isArray(dat) || dat.off === undefined || dat.len === undefined) return undefined;
  return { key: dat.key, ver: dat.ver, off: dat.off, len: dat.len };
}
