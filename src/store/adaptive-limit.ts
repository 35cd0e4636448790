/** How many requests may be under way: never fewer, never more (as many as there are sockets). */
const LEAST = 2;
const MOST = 64;
const FIRST = 16;
/** A change of the limit is judged by at least so long, and by as many answers as there are requests under way. */
const WINDOW_MS = 500;
/** What a request costs beside its bytes, in bytes: so that many small ones count as work too. */
const REQUEST_BYTES = 64 * 1024;
/** More requests must bring so much to be worth it; fewer must not cost more than that. */
const WORTH_MORE = 1.05;
const COST_OF_FEWER = 0.97;
/** Windows between two trials, once the limit has been found. */
const WINDOWS_HELD = 8;
/** What a store that says it has too much is spared. */
const BACK_OFF = 0.7;

export interface AdaptiveLimitOptions {
  /** Milliseconds from anywhere. */
  monotonic: () => number;
  /** Called when it has changed. */
  changed: (limit: number) => void;
  first?: number;
  least?: number;
  most?: number;
}

/** A trial of another limit, and what the one before brought. */
interface Trial {
  before: number;
  rate: number;
}

/**
 * Finds how many requests at once a store takes. As long as requests wait for their turn, it tries more of them and
 * keeps to that where more gets done (bytes and requests a second); otherwise it goes back, and later tries more and
 * fewer by turns, since what a store and a line take changes. A store that says it has too much (503 SlowDown) is
 * spared at once.
 */
export class AdaptiveLimit {
  readonly #monotonic: () => number;
  readonly #changed: (limit: number) => void;
  readonly #least: number;
  readonly #most: number;
  #limit: number;
  #trial: Trial | undefined;
  /** Until the first trial that brings nothing, one follows the other. */
  #rising = true;
  #held = 0;
  #upNext = true;
  #sparedAt = Number.NEGATIVE_INFINITY;
  #window = { start: 0, done: 0, waited: 0, work: 0 };

  constructor({ monotonic, changed, first = FIRST, least = LEAST, most = MOST }: AdaptiveLimitOptions) {
    this.#monotonic = monotonic;
    this.#changed = changed;
    this.#least = least;
    this.#most = most;
    this.#limit = Math.min(first, most);
    this.#window.start = monotonic();
  }

  get limit(): number {
    return this.#limit;
  }

  /**
   * A request was answered.
   *
   * @param bytes sent with it
   * @param waiting whether others wait for their turn
   */
  answered(bytes: number, waiting: boolean): void {
    const window = this.#window;
    window.done++;
    window.work += bytes + REQUEST_BYTES;
    if (waiting) window.waited++;
    const lasted = this.#monotonic() - window.start;
    if (lasted < WINDOW_MS || window.done < this.#limit) return;
    this.#window = { start: this.#monotonic(), done: 0, waited: 0, work: 0 };
    // With turns to spare it is not the store that there is too little of.
    if (window.waited * 2 > window.done) this.#judge(window.work / lasted);
    else this.#giveUpTrial();
  }

  /**
   * The store said that it has too much.
   *
   * @param begun when that request was sent: what was under way when the limit was lowered is no reason to lower it more
   */
  refused(begun: number): void {
    if (begun < this.#sparedAt) return;
    this.#sparedAt = this.#monotonic();
    this.#trial = undefined;
    this.#rising = false;
    this.#held = 0;
    this.#upNext = true;
    this.#set(Math.floor(this.#limit * BACK_OFF));
    this.#window = { start: this.#sparedAt, done: 0, waited: 0, work: 0 };
  }

  #judge(rate: number): void {
    const trial = this.#trial;
    this.#trial = undefined;
    if (trial === undefined) {
      if (this.#rising || ++this.#held >= WINDOWS_HELD) this.#try(rate);
      return;
    }
    const isMore = this.#limit > trial.before;
    if (rate > trial.rate * (isMore ? WORTH_MORE : COST_OF_FEWER)) {
      if (isMore) this.#try(rate);
      return;
    }
    this.#rising = false;
    this.#set(trial.before);
  }

  #try(rate: number): void {
    const before = this.#limit;
    const more = this.#rising || this.#upNext;
    this.#held = 0;
    if (!this.#rising) this.#upNext = !this.#upNext;
    const step = this.#rising ? Math.ceil(before / 2) : Math.ceil(before / 4);
    this.#set(more ? before + step : before - step);
    if (this.#limit !== before) this.#trial = { before, rate };
    else this.#rising = false;
  }

  #giveUpTrial(): void {
    if (this.#trial === undefined) return;
    this.#set(this.#trial.before);
    this.#trial = undefined;
  }

  #set(limit: number): void {
    const next = Math.min(this.#most, Math.max(this.#least, limit));
    if (next === this.#limit) return;
    this.#limit = next;
    this.#changed(next);
  }
}
