import type { ByteRange } from '../store/port.js';
import { type BundlePlan, sectionOf, type WantedSection } from './bundle-plan.js';
import { BundleReader, endsTooSoon, type FetchRange, type MemberPlace } from './bundle-reader.js';

interface Fetched extends ByteRange {
  bytes: Promise<Uint8Array>;
  /** Members that are likely still to be asked for. */
  more: number;
  /** Nobody has asked for it yet. */
  isAhead: boolean;
}

/** Bytes of sections kept for members to come; those used least recently go. */
const KEPT_BYTES = 32 << 20;
/** Sections fetched before anybody asks for them: without, there is one request after the other. */
const AHEAD = 3;

/** Reads members of bundles by a plan: whole sections where the plan says so, else as {@link BundleReader} does. */
export class PlannedBundles {
  readonly #plan: BundlePlan;
  readonly #fetch: FetchRange;
  readonly #single: BundleReader;
  /** Least recently used first. */
  readonly #sections = new Map<string, Fetched>();
  #keptBytes = 0;

  constructor(plan: BundlePlan, fetch: FetchRange) {
    this.#plan = plan;
    this.#fetch = fetch;
    this.#single = new BundleReader(fetch);
  }

  /** The stored bytes of a member. Throws DAMAGED where the bundle ends before it. */
  async read(member: MemberPlace): Promise<Uint8Array> {
    const { off, len } = member;
    const section = this.#section(member);
    if (!section) return this.#single.read(member);
    const bytes = (await section.bytes).subarray(off - section.start, off - section.start + len);
    if (bytes.length !== len) throw endsTooSoon(member);
    return bytes;
  }

  #section(member: MemberPlace): Fetched | undefined {
    const name = sectionOf(member);
    const known = this.#sections.get(name);
    if (known && known.start <= member.off && member.off + member.len <= known.end) {
      this.#plan.came(member);
      known.more -= 1;
      this.#drop(name, known);
      if (known.more > 0) this.#keep(name, known);
      if (known.isAhead) this.#fetchAfter(name);
      known.isAhead = false;
      return known;
    }
    const worth = this.#plan.wanted(member);
    if (!worth) return undefined;
    const { range, more } = worth;
    const section = this.#fetched(name, { key: member.key, ver: member.ver, range, more }, false);
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
    const fetched: Fetched = { ...range, more, isAhead, bytes: this.#fetch(key, ver, range) };
    // What failed is not kept for the next who asks; those waiting hear of it themselves.
    fetched.bytes.catch(() => this.#drop(name, fetched));
    return fetched;
  }

  #keep(name: string, section: Fetched): void {
    this.#sections.set(name, section);
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
  }
}
