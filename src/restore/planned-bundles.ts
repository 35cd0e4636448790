import type { ByteRange } from '../store/port.js';
import { type BundlePlan, sectionOf, type WantedSection } from './bundle-plan.js';
import { endsTooSoon, type MemberPlace } from './bundle-reader.js';
import { Lent, type LentBytes } from './section-memory.js';

/** One request. May give fewer bytes than asked for, where the object ends. */
export type FetchSection = (key: string, ver: string, range: ByteRange) => Promise<LentBytes>;

interface Fetched extends ByteRange {
  coming: Promise<void>;
  /** Undefined until it has come. */
  lent: LentBytes | undefined;
  /** Who needs its memory: readers of members, and this one here while it is kept for more of them. */
  holders: number;
  /** Members that are likely still to be asked for. */
  more: number;
  /** Nobody has asked for it yet. */
  isAhead: boolean;
}

/** Bytes of sections kept for members to come; those used least recently go. */
export const KEPT_BYTES = 32 << 20;
/** Sections fetched before anybody asks for them: without, there is one request after the other. */
const AHEAD = 3;

/** Reads members of bundles by a plan: whole sections where the plan says so. */
export class PlannedBundles {
  readonly #plan: BundlePlan;
  readonly #fetch: FetchSection;
  /** Least recently used first. */
  readonly #sections = new Map<string, Fetched>();
  #keptBytes = 0;
  /** The section that was used last: of thousands of members one after the other it is the same. */
  #latest: Fetched | undefined;

  constructor(plan: BundlePlan, fetch: FetchSection) {
    this.#plan = plan;
    this.#fetch = fetch;
  }

  /**
   * The stored bytes of a member, at once where its section is there. Undefined where it is better fetched by itself.
   * Rejects with DAMAGED where the bundle ends before it.
   */
  read(member: MemberPlace): LentBytes | Promise<LentBytes> | undefined {
    const section = this.#section(member);
    if (!section) return undefined;
    if (reaches(section, member)) return cut(section, member);
    return section.coming.then(() => {
      if (reaches(section, member)) return cut(section, member);
      letGo(section);
      throw endsTooSoon(member);
    });
  }

  /** For one reader more, who has to let go of it. */
  #section(member: MemberPlace): Fetched | undefined {
    const name = sectionOf(member);
    const known = this.#sections.get(name);
    if (known && known.start <= member.off && member.off + member.len <= known.end) {
      this.#plan.came(member);
      known.holders += 1;
      known.more -= 1;
      if (known.more <= 0) this.#drop(name, known);
      else if (known !== this.#latest) this.#usedNow(name, known);
      if (known.isAhead) this.#fetchAfter(name);
      known.isAhead = false;
      return known;
    }
    const worth = this.#plan.wanted(member);
    if (!worth) return undefined;
    const { range, more } = worth;
    const section = this.#fetched(name, { key: member.key, ver: member.ver, range, more }, false);
    section.holders += 1;
    if (more > 0) this.#keep(name, section);
    this.#fetchAfter(name);
    return section;
  }

  #fetchAfter(name: string): void {
    for (const next of this.#plan.after(name, AHEAD)) {
      const length = next.range.end - next.range.start;
      if (this.#sections.has(next.name) || this.#keptBytes + length > KEPT_BYTES) continue;
      this.#keep(next.name, this.#fetched(next.name, next, true));
    }
  }

  #fetched(name: string, section: Omit<WantedSection, 'name'>, isAhead: boolean): Fetched {
    const { key, ver, range, more } = section;
    const coming = this.#fetch(key, ver, range).then((lent) => {
      fetched.lent = lent;
      if (fetched.holders === 0) lent.release();
    });
    const fetched: Fetched = { ...range, more, isAhead, coming, lent: undefined, holders: 0 };
    // What failed is not kept for the next who asks; those waiting hear of it themselves.
    coming.catch(() => this.#drop(name, fetched));
    return fetched;
  }

  #usedNow(name: string, section: Fetched): void {
    this.#sections.delete(name);
    this.#sections.set(name, section);
    this.#latest = section;
  }

  #keep(name: string, section: Fetched): void {
    section.holders += 1;
    this.#usedNow(name, section);
    this.#keptBytes += section.end - section.start;
    for (const [oldest, other] of this.#sections) {
      if (this.#keptBytes <= KEPT_BYTES || other === section) return;
      this.#drop(oldest, other);
    }
  }

  #drop(name: string, section: Fetched): void {
    if (this.#sections.get(name) !== section) return;
    this.#sections.delete(name);
    this.#keptBytes -= section.end - section.start;
    letGo(section);
  }
}

/** Whether the member's last byte has come. */
function reaches({ lent, start }: Fetched, { off, len }: MemberPlace): boolean {
  return lent !== undefined && off + len <= start + lent.bytes.length;
}

function cut(section: Fetched, { off, len }: MemberPlace): LentBytes {
  const from = off - section.start;
  const bytes = section.lent?.bytes.subarray(from, from + len) ?? new Uint8Array(0);
  return new Lent(bytes, () => letGo(section));
}

function letGo(section: Fetched): void {
  section.holders -= 1;
  if (section.holders === 0) section.lent?.release();
}
