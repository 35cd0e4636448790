import type { Phase, Progress } from '../../src/index.js';
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
  verify: 'looking up',
  'verify-locks': 'asking for locks',
  'verify-data': 'reading',
  rebuild: 'reading back',
};

/** As wide as there is room for, within these. */
const BAR_WIDTH = { least: 10, most: 30 };

/** A phase's first seconds tell little of its rate. */
const LEFT_AFTER_MS = 5000;

/** In the order in which they are shown. */
const SHOWN = ['phase', 'bar', 'share', 'entries', 'bytes', 'rate', 'left'] as const;

/** In the order in which they are left out. */
const LEAST_FIRST = ['entries', 'rate', 'bar', 'bytes', 'left', 'share'] as const;

type Parts = { phase: string } & Partial<Record<(typeof SHOWN)[number], string>>;

/** What is known of the work under way, as one line: phase, share, amounts, rate, time left. */
export class ProgressView {
  readonly #clock: () => number;
  #phase: Phase = 'prepare';
  #latest: Progress | undefined;
  /** When the phase's first progress came. */
  #since = 0;
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
    const now = this.#clock();
    if (this.#latest === undefined) this.#since = now;
    this.#latest = progress;
    this.#entries.add(now, progress.entries);
    this.#bytes.add(now, progress.bytes);
  }

  /** At most `columns` characters: where they are few, the parts that matter least are left out. */
  line(columns: number): string {
    const parts = this.#parts();
    for (const name of LEAST_FIRST) {
      if (joined(parts).length <= columns) break;
      delete parts[name];
    }
    const room = columns - joined(parts).length;
    const share = this.#latest && shareOf(this.#latest);
    if (parts.bar !== undefined && share !== undefined)
      parts.bar = bar(share, Math.min(BAR_WIDTH.most, BAR_WIDTH.least + room));
    return joined(parts).slice(0, columns);
  }

  #parts(): Parts {
    const parts: Parts = { phase: NAMES[this.#phase] };
    const latest = this.#latest;
    if (latest === undefined) return { phase: `${parts.phase} ...` };
    const share = shareOf(latest);
    if (share !== undefined) {
      parts.bar = bar(share, BAR_WIDTH.least);
      parts.share = `${Math.floor(share * 100)}%`.padStart(4);
    }
    parts.entries = amount(latest.entries, latest.entriesTotal, formatCount);
    if (latest.bytes > 0 || latest.bytesTotal)
      parts.bytes = amount(latest.bytes, latest.bytesTotal, formatBytes);
    const rate = this.#rate();
    if (rate !== undefined) parts.rate = rate;
    const left = this.secondsLeft;
    if (left !== undefined) parts.left = `${timeLeft(left)} left`;
    return parts;
  }

  /** By the rate of what the share is measured in: bytes where their total is known, else entries. */
  get secondsLeft(): number | undefined {
    const latest = this.#latest;
    if (latest === undefined || this.#clock() - this.#since < LEFT_AFTER_MS) return undefined;
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

function joined(parts: Parts): string {
  return SHOWN.map((name) => parts[name])
    .filter((part) => part !== undefined)
    .join('  ');
}

/** In whole seconds: anything finer is a guess. */
function timeLeft(seconds: number): string {
  return seconds < 59.5 ? `${Math.ceil(seconds)} s` : formatDuration(Math.round(seconds));
}

function bar(share: number, width: number): string {
  const full = Math.round(share * width);
  return `[${'='.repeat(full)}${' '.repeat(width - full)}]`;
}
