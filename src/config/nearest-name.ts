/**
 * The known name that a mistyped one is nearest to, for "did you mean": at most a third of its letters, and two
 * at least, put in, left out, changed or swapped with a neighbour. Undefined where none is that near.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const [nearest] = byNearness(name, known);
  const allowed = Math.max(2, Math.floor(name.length / 3));
  if (nearest === undefined || nearest.distance > allowed) return undefined;
  return nearest.distance < nearest.name.length ? nearest.name : undefined;
}

/**
 * The known name that this one is a slip away from, so that it was surely meant: two letters put in, left out, changed
 * or swapped with a neighbour at most, one in a name of up to four letters. Case counts for nothing.
 */
export function nearMiss(name: string, known: Iterable<string>): string | undefined {
  const [nearest] = byNearness(name, known);
  const allowed = [...name].length <= 4 ? 1 : 2;
  return nearest !== undefined && nearest.distance <= allowed ? nearest.name : undefined;
}

/** All known names, the nearest first. */
export function byNearness(name: string, known: Iterable<string>): { name: string; distance: number }[] {
  return Array.from(known, (candidate) => ({
    name: candidate,
    distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
  })).sort((a, b) => a.distance - b.distance);
}

/** Optimal string alignment distance. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let best = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && swapped) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1);
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
