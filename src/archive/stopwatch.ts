import type { EventListener } from '../events.js';
import type { RunSummary } from './options.js';

type RunPhase = keyof RunSummary['phases'];

/** Measures a run's phases by the monotonic clock, and tells of them. */
export class Stopwatch {
  readonly #onEvent: EventListener;
  readonly #phases: RunSummary['phases'] = {};
  readonly #began = performance.now();
  #phase: { name: RunPhase; began: number } | undefined;

  constructor(onEvent: EventListener) {
    this.#onEvent = onEvent;
  }

  /** Begins a phase; the one before has ended. */
  begin(name: RunPhase): void {
    this.#endPhase();
    this.#onEvent({ type: 'phase', phase: name });
    this.#phase = { name, began: performance.now() };
  }

  end(): Pick<RunSummary, 'seconds' | 'phases'> {
    this.#endPhase();
    return { seconds: secondsSince(this.#began), phases: this.#phases };
  }

  #endPhase(): void {
    if (this.#phase !== undefined) this.#phases[this.#phase.name] = secondsSince(this.#phase.began);
    this.#phase = undefined;
  }
}

function secondsSince(began: number): number {
  return Math.round(performance.now() - began) / 1000;
}
