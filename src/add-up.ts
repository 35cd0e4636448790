/** Where sums end: the largest whole number that a double holds exactly, and that a manifest may hold. */
export const LARGEST_SUM = Number.MAX_SAFE_INTEGER;

/**
 * Adds a whole number to a sum, which stops at {@link LARGEST_SUM}. Stated sizes come to more than that where many
 * names share one large file with holes, and that is the fault of none of them.
 */
export function addUp(sum: number, more: number): number {
  return Math.min(sum + more, LARGEST_SUM);
}
