import { addUp } from '../add-up.js';
import type { EventListener } from '../events.js';
import { FileStat } from '../files/stat.js';
import type { FileWarning } from '../manifest/types.js';

const REPORT_EVERY_MS = 100;

/** Counts entries as they are decided on, and tells of progress now and then. */
export class Tally {
  readonly counts = { d: 0, l: 0, f: 0 };
  bytes = 0;
  read = { files: 0, bytes: 0 };
  /** Copies that may not be what the file was at any one time. */
  readonly warnings: Record<FileWarning, number> = { 'changed-while-reading': 0, 'unlocked-copy': 0 };
  total = 0;
  readonly #onEvent: EventListener;
  #reported = 0;

  constructor(onEvent: EventListener) {
    this.#onEvent = onEvent;
  }

  count(stats: Buffer, statAt: number, size?: number): void {
    const stat = new FileStat(stats, statAt);
    const kind = stat.kind;
    if (kind === 'directory') this.counts.d++;
    else if (kind === 'symlink') this.counts.l++;
    else {
      this.counts.f++;
      this.bytes = addUp(this.bytes, size ?? stat.size);
    }
  }

  addRead(bytes: number): void {
    this.read.files++;
    this.read.bytes = addUp(this.read.bytes, bytes);
    this.report();
  }

  report(force = false): void {
    const now = performance.now();
    if (!force && now - this.#reported < REPORT_EVERY_MS) return;
    this.#reported = now;
    const entries = this.counts.d + this.counts.l + this.counts.f;
    const entriesTotal = Math.max(this.total, entries);
    this.#onEvent({ type: 'progress', phase: 'content', entries, entriesTotal, bytes: this.read.bytes });
  }
}
