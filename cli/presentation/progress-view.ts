import type { Phase, Progress } from '../library.js';
import { formatBytes, formatCount, formatDuration } from './quantities.js';
import { Rate } from './rate.js';

const NAMES: Record<Phase, string> = {
  prepare: 'preparing',
  pick: 'picking',
  content: 'content',
  snapshots: 'snapshots',
  renew: 'renewing',
  manifest: 'manifest',
  restore: 'restoring',
  verify: 'verifying',
};

const BAR_WIDTH = 24;
/** Below this many columns the bar itself gives way to the numbers. */
const ROOM_FOR_BAR = 90;

/** What is known of the work under way, as one line: phase, share, amounts, rate, time left. */
export class ProgressView {
  readonly #clock: () => number;
  #phase: Phase = 'prepare';
  #latest: Progress | undefined;
  #entries = new Rate();
  #bytes = new Rate();

  /** @param clock Milliseconds of a clock that never goes back. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  enter(phase: Phase): void {
    if (phase === this.#phase) return;
    this.#phase = phase;
    this.#latest = undefined;
    this.#entries = new Rate();
    this.#bytes = new Rate();
  }

  update(progress: Progress): void {
    this.enter(progress.phase);
    this.#latest = progress;
    const now = this.#clock();
    this.#entries.add(now, progress.entries);
    this.#bytes.add(now, progress.bytes);
  }

  /** At most `columns` characters. */
  line(columns: number): string {
    return this.#text(columns).slice(0, columns);
  }

  #text(columns: number): string {
    const name = NAMES[this.#phase];
    const latest = this.#latest;
    if (latest === undefined) return `${name} …`;
    const share = shareOf(latest);
    const parts = [name];
    if (share !== undefined && columns >= ROOM_FOR_BAR) parts.push(bar(share));
    if (share !== undefined) parts.push(`${Math.floor(share * 100)}%`.padStart(4));
    parts.push(amount(latest.entries, latest.entriesTotal, formatCount));
    if (latest.bytes > 0 || latest.bytesTotal) {
      parts.push(amount(latest.bytes, latest.bytesTotal, formatBytes));
    }
    const rate = this.#rate();
    if (rate !== undefined) parts.push(rate);
    const left = this.secondsLeft;
    if (left !== undefined) parts.push(`${formatDuration(Math.round(left))} left`);
    return parts.join('  ');
  }

  /** By the rate of what the share is measured in: bytes where their total is known, else entries. */
  get secondsLeft(): number | undefined {
    const latest = this.#latest;
    if (latest === undefined) return undefined;
    const inBytes = latest.bytesTotal !== undefined && latest.bytesTotal > 0;
    const total = inBytes ? latest.bytesTotal : latest.entriesTotal;
    const rate = (inBytes ? this.#bytes : this.#entries).perSecond;
    if (total === undefined || rate === undefined || rate <= 0) return undefined;
    return Math.max(0, total - (inBytes ? latest.bytes : latest.entries)) / rate;
  }

  #rate(): string | undefined {
    const bytes = this.#bytes.perSecond;
    if (bytes !== undefined && bytes >= 1) return `${formatBytes(bytes)}/s`;
    const entries = this.#entries.perSecond;
    return entries === undefined ? undefined : `${formatCount(entries)}/s`;
  }
}

function shareOf({ entries, entriesTotal, bytes, bytesTotal }: Progress): number | undefined {
  if (bytesTotal !== undefined && bytesTotal > 0) return Math.min(1, bytes / bytesTotal);
  if (entriesTotal !== undefined && entriesTotal > 0) return Math.min(1, entries / entriesTotal);
  return undefined;
}

function amount(done: number, total: number | undefined, format: (amount: number) => string): string {
  return total === undefined || total === 0 ? format(done) : `${format(done)} of ${format(total)}`;
}

function bar(share: number): string {
  const full = Math.round(share * BAR_WIDTH);
  return `[${'='.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`;
}
