import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { StoreError } from '../store/store-error.js';
import { isAhead, nowText } from './ahead.js';
import { isDatedInTheFuture, type StoredRun, warn } from './runs.js';
import type { ManifestFooter } from './types.js';

export interface UsableRunsOptions<Found> {
  /** The store's time. */
  nowMs: number;
  /** What a run is taken as, or in words why it is passed over. Asked at most once for each run. */
  look: (run: StoredRun) => Promise<Found | string>;
  onEvent?: EventListener | undefined;
}

/** A run that `latest` could mean. */
export interface UsableRun<Found> {
  run: StoredRun;
  found: Found;
}

/**
 * Which runs of one backup name may be taken for its newest, one rule for all who ask. Never those that are broken, nor
 * those dated later than the day of their receipt, nor those that `look` refuses (empty, unreadable): whoever holds a
 * machine's rights to back up could store these to hide the good ones. And none that was received more than a day
 * after now, as long as another one is usable: the store's clock was ahead then. Where there is no other, now is rather
 * wrong than all of them. What is passed over is a warning; only broken runs are not mentioned.
 */
export class UsableRuns<Found extends object> {
  readonly #timely: readonly StoredRun[];
  readonly #ahead: readonly StoredRun[];
  readonly #options: UsableRunsOptions<Found>;
  readonly #seen = new Map<StoredRun, Found | string>();

  /** @param runs of one backup name, in the order of their receipt */
  constructor(runs: readonly StoredRun[], options: UsableRunsOptions<Found>) {
    const whole = runs.filter(({ outcome }) => outcome !== 'broken');
    this.#timely = whole.filter((run) => !isAhead(run, options.nowMs));
    this.#ahead = whole.filter((run) => isAhead(run, options.nowMs));
    this.#options = options;
  }

  /** Those that `among` chooses, the newest first. */
  async *newestFirst(among: (run: StoredRun) => boolean = () => true): AsyncGenerator<UsableRun<Found>> {
    const ahead = this.#ahead.filter(among).reverse();
    let runs = this.#timely.filter(among).reverse();
    if (ahead.length > 0) {
      if (await this.#hasTimely()) this.#passOver(ahead);
      else {
        this.#doubtTheClock();
        runs = [...ahead, ...runs];
      }
    }
    for (const run of runs) {
      const found = await this.#look(run);
      if (typeof found !== 'string') yield { run, found };
    }
  }

  async #hasTimely(): Promise<boolean> {
    for (const run of this.#timely.toReversed()) if (typeof (await this.#look(run)) !== 'string') return true;
    return false;
  }

  async #look(run: StoredRun): Promise<Found | string> {
    const seen = this.#seen.get(run);
    if (seen !== undefined) return seen;
    const found = isDatedInTheFuture(run)
      ? `it is dated after ${new Date(run.received).toISOString()}, when the store received it`
      : await this.#options.look(run);
    this.#seen.set(run, found);
    if (typeof found === 'string') this.#warn(`passed over the run ${run.backup}/${run.run}: ${found}`);
    return found;
  }

  /** @param ahead at least one, the newest first */
  #passOver([newest, ...rest]: readonly StoredRun[]): void {
    if (newest === undefined) return;
    const { backup, run, received } = newest;
    const more = rest.length === 0 ? '' : ` (and ${rest.length} more like it)`;
    this.#warn(
      `passed over the run ${backup}/${run}${more}: it was received ${new Date(received).toISOString()}, which is ` +
        `after ${nowText(this.#options.nowMs)}`,
    );
  }

  #doubtTheClock(): void {
    const [first] = this.#ahead;
    this.#warn(
      `all runs of ${first?.backup ?? ''} that could be used were received after ${nowText(this.#options.nowMs)}: ` +
        "this machine's clock may be wrong",
    );
  }

  #warn(message: string): void {
    warn(this.#options.onEvent, message);
  }
}

/** Whether a run holds no entry at all. */
export function isEmptyRun({ d, l, f, s }: ManifestFooter['counts']): boolean {
  return d + l + f + s === 0;
}

/** Whether it is this one manifest that is wrong, and not the store that fails. */
export function isOneManifestsOwn(error: unknown): error is SysbackupError {
  if (!(error instanceof SysbackupError)) return false;
  if (error.code === 'DAMAGED' || error.code === 'NOT_FOUND') return true;
  return error instanceof StoreError && error.code === 'STORE_FAILED' && !error.retryable;
}
