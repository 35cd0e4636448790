/** Of the two in the middle the mean. Of nothing: NaN. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  return (low + high) / 2;
}

export interface MedianInterval {
  middle: number;
  /** Both undefined where there are too few values: fewer than six for 95 %. */
  low: number | undefined;
  high: number | undefined;
}

/**
 * The median with an interval that holds the true one with at least 95 % probability, whatever the distribution:
 * between two order statistics, as the number of values below the true median is binomial with p = 1/2 (David and
 * Nagaraja, Order Statistics, 7.1).
 */
export function medianInterval(values: readonly number[]): MedianInterval {
  const sorted = values.toSorted((a, b) => a - b);
  const count = sorted.length;
  let outside = 0;
  let probability = 0.5 ** count;
  let rank = 0;
  // Twice: as much lies above the interval as below it.
  while (2 * (outside + probability) <= 0.05 && 2 * (rank + 1) <= count) {
    outside += probability;
    probability *= (count - rank) / (rank + 1);
    rank += 1;
  }
  return {
    middle: median(values),
    low: rank === 0 ? undefined : sorted[rank - 1],
    high: rank === 0 ? undefined : sorted[count - rank],
  };
}
