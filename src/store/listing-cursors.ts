import { SysbackupError } from '../errors.js';
import type { HiddenData, ListedVersion, ListPage, ListRequest } from './port.js';

const LARGEST_PAGE = 1000;
/** Listings that are kept going between their pages. */
const KEPT = 4;

interface Cursor {
  rows: AsyncGenerator<ListedVersion>;
  /** Read already, not given out yet. */
  pending: ListedVersion | undefined;
  /** What was found beside the rows, not given out yet. */
  hidden: HiddenData[];
}

interface CursorRange<Position> {
  prefix: string;
  after?: string | undefined;
  position?: Position | undefined;
}

type OpenListing<Position> = (
  range: CursorRange<Position>,
  onHidden: (hidden: HiddenData) => void,
) => AsyncGenerator<ListedVersion>;

/**
 * Pages of a listing that is a stream. The next page goes on where the last one stopped reading; a page asked for
 * again, or after many others, is found anew from its position. `Position` is whatever JSON carries.
 */
export class ListingCursors<Position> {
  readonly #open: OpenListing<Position>;
  readonly #positionOf: (row: ListedVersion) => Position;
  readonly #kept = new Map<string, Cursor>();

  constructor(open: OpenListing<Position>, positionOf: (row: ListedVersion) => Position) {
    this.#open = open;
    this.#positionOf = positionOf;
  }

  async page({ prefix, after, continuation, limit }: ListRequest): Promise<ListPage> {
    const cursor =
      this.#take(prefix, continuation) ?? this.#begin({ prefix, after, position: this.#parse(continuation) });
    const versions: ListedVersion[] = [];
    const most = Math.max(1, Math.min(limit ?? LARGEST_PAGE, LARGEST_PAGE));
    while (versions.length < most) {
      const row = await nextRow(cursor);
      if (row === undefined) return { versions, next: undefined, ...hiddenIn(cursor) };
      versions.push(row);
    }
    cursor.pending = await nextRow(cursor);
    const last = versions.at(-1);
    if (cursor.pending === undefined || last === undefined)
      return { versions, next: undefined, ...hiddenIn(cursor) };
    const next = Buffer.from(JSON.stringify(this.#positionOf(last))).toString('base64url');
    await this.#keep(prefix, next, cursor);
    return { versions, next, ...hiddenIn(cursor) };
  }

  #begin(range: CursorRange<Position>): Cursor {
    const hidden: HiddenData[] = [];
    return { rows: this.#open(range, (found) => hidden.push(found)), pending: undefined, hidden };
  }

  #take(prefix: string, continuation: string | undefined): Cursor | undefined {
    if (continuation === undefined) return undefined;
    const name = `${continuation} ${prefix}`;
    const cursor = this.#kept.get(name);
    this.#kept.delete(name);
    return cursor;
  }

  async #keep(prefix: string, continuation: string, cursor: Cursor): Promise<void> {
    this.#kept.set(`${continuation} ${prefix}`, cursor);
    for (const [name, { rows }] of this.#kept) {
      if (this.#kept.size <= KEPT) return;
      this.#kept.delete(name);
      await rows.return(undefined);
    }
  }

  #parse(continuation: string | undefined): Position | undefined {
    if (continuation === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(continuation, 'base64url').toString()) as Position;
    } catch (cause) {
      throw new SysbackupError('USAGE', 'a listing was continued with what no page gave', { cause });
    }
  }
}

function hiddenIn({ hidden }: Cursor): Pick<ListPage, 'hidden'> {
  return hidden.length === 0 ? {} : { hidden: hidden.splice(0) };
}

async function nextRow(cursor: Cursor): Promise<ListedVersion | undefined> {
  const { pending } = cursor;
  cursor.pending = undefined;
  if (pending !== undefined) return pending;
  const { value, done } = await cursor.rows.next();
  return done === true ? undefined : value;
}
