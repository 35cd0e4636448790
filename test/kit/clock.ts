/** A clock that stands still until it is set forward. Starts at a whole second. */
export class TestClock {
  time: number;

  constructor(start: number | string = '2026-03-01T12:00:00Z') {
    this.time = typeof start === 'string' ? Date.parse(start) : start;
  }

  readonly now = (): number => this.time;

  /** Seconds since the epoch, as locks have them. */
  get seconds(): number {
    return Math.floor(this.time / 1000);
  }

  pass(span: { days?: number; hours?: number; seconds?: number; ms?: number }): void {
    const { days = 0, hours = 0, seconds = 0, ms = 0 } = span;
    this.time += ((days * 24 + hours) * 3600 + seconds) * 1000 + ms;
  }
}
