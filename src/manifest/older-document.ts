import { LineFault } from './line-fault.js';

/** The lists that a manifest of the older format consists of. */
export type OlderList = 'content' | 'snapshots' | 'log';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Cuts one JSON document, `{"content": […], "snapshots": […], "log": […]}`, into the items of its lists while it
 * comes, so that it need not fit into one string. Other members are passed over. Throws {@link LineFault} where it
 * is no such document.
 */
export class OlderDocument {
  readonly lists = new Set<OlderList>();
  readonly #onItem: (list: OlderList, item: unknown) => void;
  readonly #longest: number;
  /** Depth 1 is in the document, depth 2 in one of its lists. */
  #depth = 0;
  #isDone = false;
  #inString = false;
  #isEscaped = false;
  #list: OlderList | undefined;
  /** Whether a member's name is next, at depth 1. */
  #wantsName = true;
  #isName = false;
  /** What of the present item or name came in earlier chunks; undefined while there is none. */
  #earlier: Buffer[] | undefined;
  #earlierLength = 0;

  constructor(onItem: (list: OlderList, item: unknown) => void, longest: number) {
    this.#onItem = onItem;
    this.#longest = longest;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) {
          this.#inString = false;
          if (this.#isName) this.#takeName(chunk.subarray(start, at + 1));
        }
        continue;
      }
      if (byte <= 0x20) continue;
      if (this.#isDone) throw new LineFault('has something after its end');
      if (this.#depth === 0 && byte !== OPEN_OBJECT) throw new LineFault('is no JSON object');
      const endsItem = this.#depth === 2 && (byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT);
      if (endsItem) this.#takeItem(chunk.subarray(start, at));
      else if (this.#depth === 2 && this.#list !== undefined && this.#earlier === undefined) {
        this.#earlier = [];
        start = at;
      }
      if (byte === QUOTE) {
        this.#inString = true;
        if (this.#depth === 1 && this.#wantsName) {
          this.#isName = true;
          this.#wantsName = false;
          this.#earlier = [];
          start = at;
        }
      } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) this.#open(byte);
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) this.#close(byte);
      else if (byte === COMMA && this.#depth === 1) {
        this.#wantsName = true;
        this.#list = undefined;
      }
    }
    this.#keep(chunk.subarray(start));
  }

  /** To be called when there is no more. */
  end(): void {
    if (!this.#isDone) throw new LineFault('ends in the middle');
    if (!this.lists.has('content')) throw new LineFault('has no list `content`');
  }

  #open(byte: number): void {
    this.#depth += 1;
    if (this.#depth !== 2 || this.#list === undefined) return;
    if (byte !== OPEN_LIST) throw new LineFault(`has a \`${this.#list}\` that is no list`);
    this.lists.add(this.#list);
  }

  #close(byte: number): void {
    const isRight =
      this.#depth === 1
        ? byte === CLOSE_OBJECT
        : this.#depth !== 2 || this.#list === undefined || byte === CLOSE_LIST;
    if (!isRight) throw new LineFault('is no JSON');
    this.#depth -= 1;
    this.#isDone = this.#depth === 0;
  }

  #takeName(rest: Buffer): void {
    this.#isName = false;
    const name = parse(this.#whole(rest));
    this.#list = name === 'content' || name === 'snapshots' || name === 'log' ? name : undefined;
  }

  #takeItem(rest: Buffer): void {
    // Before the comma or bracket there may be nothing: in an empty list.
    if (this.#earlier === undefined || this.#list === undefined) return;
    this.#onItem(this.#list, parse(this.#whole(rest)));
  }

  #whole(rest: Buffer): Buffer {
    const whole = this.#earlierLength === 0 ? rest : Buffer.concat([...(this.#earlier ?? []), rest]);
    this.#earlier = undefined;
    this.#earlierLength = 0;
    return whole;
  }

  #keep(rest: Buffer): void {
    if (this.#earlier === undefined) return;
    this.#earlier.push(rest);
    this.#earlierLength += rest.length;
    if (this.#earlierLength > this.#longest)
      throw new LineFault('has an item that is longer than any may be');
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new LineFault('is no JSON');
  }
}
