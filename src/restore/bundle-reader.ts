import { damaged } from '../content/decode.js';
import type { SysbackupError } from '../errors.js';
import { versionName } from '../manifest/keys.js';
import type { ByteRange } from '../store/port.js';

/** A member of a bundle. */
export interface MemberPlace {
  key: string;
  ver: string;
  off: number;
  len: number;
}

/** One request. May give fewer bytes than asked for, where the object ends. */
export type FetchRange = (key: string, ver: string, range: ByteRange) => Promise<Uint8Array>;

interface Segment extends ByteRange {
  bytes: Promise<Uint8Array>;
}

/** What was fetched of one bundle, and how the asking goes on. */
interface OpenBundle {
  segments: Segment[];
  /** Where the last fetch ended. */
  frontier: number;
  window: number;
}

const SMALLEST_WINDOW = 64 << 10;
const LARGEST_WINDOW = 4 << 20;
/** Kept per bundle: what concurrent readers of neighbours need. */
const SEGMENTS_KEPT = 3;
const BUNDLES_OPEN = 4;

/**
 * Reads members of bundles. One alone is a request for its bytes and a little more; members asked for in the order in
 * which they lie, as a whole restore does, come in ever larger pieces, up to 4 MiB a request. So a few files cost
 * little transfer, and all of them cost few requests.
 */
export class BundleReader {
  readonly #fetch: FetchRange;
  readonly #open = new Map<string, OpenBundle>();

  constructor(fetch: FetchRange) {
    this.#fetch = fetch;
  }

  /** The stored bytes of a member. Throws DAMAGED where the bundle ends before it. */
  async read(member: MemberPlace): Promise<Uint8Array> {
    const { key, ver, off, len } = member;
    const bundle = this.#bundle(`${key}\0${ver}`);
    const segment =
      bundle.segments.find(({ start, end }) => start <= off && off + len <= end) ??
      this.#next(bundle, member);
    try {
      const bytes = (await segment.bytes).subarray(off - segment.start, off - segment.start + len);
      if (bytes.length === len) return bytes;
    } catch (error) {
      // What failed is not kept for the next who asks.
      bundle.segments = bundle.segments.filter((each) => each !== segment);
      throw error;
    }
    throw endsTooSoon(member);
  }

  #bundle(name: string): OpenBundle {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const made: OpenBundle = { segments: [], frontier: -1, window: SMALLEST_WINDOW };
    this.#open.set(name, made);
    const [oldest] = this.#open.keys();
    if (this.#open.size > BUNDLES_OPEN && oldest !== undefined) this.#open.delete(oldest);
    return made;
  }

  #next(bundle: OpenBundle, { key, ver, off, len }: MemberPlace): Segment {
    const { frontier, window } = bundle;
    const follows = frontier >= 0 && Math.abs(off - frontier) <= window;
    bundle.window = follows ? Math.min(window * 2, LARGEST_WINDOW) : SMALLEST_WINDOW;
    const start = follows ? Math.min(off, frontier) : off;
    const end = Math.max(off + len, start + bundle.window);
    const segment = { start, end, bytes: this.#fetch(key, ver, { start, end }) };
    segment.bytes.catch(() => undefined); // heard of by whoever reads
    bundle.frontier = end;
    bundle.segments = [segment, ...bundle.segments].slice(0, SEGMENTS_KEPT);
    return segment;
  }
}

export function endsTooSoon({ key, ver }: MemberPlace): SysbackupError {
  return damaged(`${versionName(key, ver)} ends before a file that it should hold`);
}
