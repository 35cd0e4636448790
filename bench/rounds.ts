import type { Contender } from './contenders/types.js';
import { holding } from './measure/gate.js';
import { type Measured, messageOf } from './measure/run.js';
import type { Traffic } from './proxy/counting-proxy.js';

/** Of one run of one contender. */
export interface Sample extends Pick<Measured, 'seconds' | 'cpu' | 'peak'> {
  /** Bytes in its store afterwards. */
  stored?: number;
}

export interface Result {
  contender: Contender;
  /** One for each round. Empty where it failed. */
  samples: Sample[];
  /** Why no figure of it counts. */
  failure?: string;
  /** Of a run of its own through the proxy. */
  traffic?: Traffic;
}

export interface Entrant {
  contender: Contender;
  trial: (round: number) => Promise<Sample>;
}

export interface RoundOptions {
  rounds: number;
  /** See {@link holding}. */
  whileMeasuring?: string | undefined;
  /** How many rounds it is held for at a time. Default 1. */
  roundsInATurn?: number | undefined;
  onProgress: (message: string) => void;
  /** Before each round. */
  beforeRound?: (round: number) => Promise<void>;
}

/**
 * All entrants in turn, round after round, each round beginning with another one, so that what changes on the machine
 * meets all of them. Who fails once is out.
 */
export async function runRounds(entrants: readonly Entrant[], options: RoundOptions): Promise<Result[]> {
  const results = new Map<Entrant, Result>(
    entrants.map((entrant) => [entrant, { contender: entrant.contender, samples: [] }]),
  );
  const runRound = async (round: number): Promise<void> => {
    await options.beforeRound?.(round);
    for (let turn = 0; turn < entrants.length; turn++) {
      const entrant = entrants[(round + turn) % entrants.length];
      const result = entrant === undefined ? undefined : results.get(entrant);
      if (entrant === undefined || result === undefined || result.failure !== undefined) continue;
      try {
        const sample = await entrant.trial(round);
        result.samples.push(sample);
        options.onProgress(`round ${round + 1}: ${entrant.contender.name} ${sample.seconds.toFixed(2)} s`);
      } catch (error) {
        fail(result, error, options.onProgress);
      }
    }
  };
  const { rounds, roundsInATurn = 1 } = options;
  for (let first = 0; first < rounds; first += roundsInATurn)
    await holding(options.whileMeasuring, async () => {
      for (let round = first; round < Math.min(rounds, first + roundsInATurn); round++) await runRound(round);
    });
  return [...results.values()];
}

/** Does what prepares each contender; who fails is left out, and told. */
export async function prepareEach<T>(
  contenders: readonly Contender[],
  prepare: (contender: Contender) => Promise<T>,
  onProgress: (message: string) => void,
): Promise<{ ready: { contender: Contender; prepared: T }[]; failed: Result[] }> {
  const ready: { contender: Contender; prepared: T }[] = [];
  const failed: Result[] = [];
  for (const contender of contenders) {
    onProgress(`preparing ${contender.name}`);
    try {
      ready.push({ contender, prepared: await prepare(contender) });
    } catch (error) {
      const result: Result = { contender, samples: [] };
      fail(result, error, onProgress);
      failed.push(result);
    }
  }
  return { ready, failed };
}

/** No figure of it counts, and it is told why. */
export function fail(result: Result, error: unknown, onProgress: (message: string) => void): void {
  result.samples = [];
  result.failure = messageOf(error);
  onProgress(`${result.contender.name} FAILED: ${result.failure}`);
}
