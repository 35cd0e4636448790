import { medianInterval } from '../measure/statistics.js';
import type { Result, Sample } from '../rounds.js';
import { shortNumber } from './quantities.js';

/**
 * What a change has brought: a line for each other build of this program, of the rounds in which both ran. A ratio is
 * this build's figure divided by the other's, so that below 1 this one is better.
 */
export function buildRatios(results: readonly Result[]): string[] {
  const own = results.filter(({ contender, samples }) => contender.isOwn && samples.length > 0);
  const [first, ...others] = own;
  if (first === undefined) return [];
  return others.map((other) => {
    const [time, cpu, peak] = MEASURES.map(([name, pick]) => `${name} ${ratioText(first, other, pick)}`);
    const pairs = Math.min(first.samples.length, other.samples.length);
    return `${first.contender.name} / ${other.contender.name}, ${pairs} pairs: ${time}; ${cpu}; ${peak}.`;
  });
}

const MEASURES: readonly [string, (sample: Sample) => number][] = [
  ['seconds', ({ seconds }) => seconds],
  ['CPU', ({ cpu }) => cpu],
  ['peak memory', ({ peak }) => peak],
];

function ratioText(first: Result, other: Result, pick: (sample: Sample) => number): string {
  const ratios = first.samples.flatMap((sample, round) => {
    const paired = other.samples[round];
    return paired === undefined ? [] : [pick(sample) / pick(paired)];
  });
  const { middle, low, high } = medianInterval(ratios);
  const interval =
    low === undefined || high === undefined
      ? 'too few pairs for an interval'
      : `95 % interval ${shortNumber(low)} to ${shortNumber(high)}`;
  return `${shortNumber(middle)} (${interval})`;
}
