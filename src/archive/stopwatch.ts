import type { EventListener } from '../events.js';
import type { RunSummary } from './options.js';

/** Measures a run's phases by the monotonic clock. */
export class Stopwatch {
  readonly laps: RunSummary['phases'] = {};
  readonly #began = performance.now();

  /** Begins a phase and tells of it; the function returned ends it. */
  begin(phase: keyof RunSummary['phases'], onEvent: EventListener): () => void {
    onEvent({ type: 'phase', phase });
    const began = performance.now();
    return () => {
      this.laps[phase] = secondsSince(began);
    };
  }

  get total(): number {
    return secondsSince(this.#began);
  }
}

function secondsSince(began: number): number {
  return Math.round(performance.now() - began) / 1000;
}
