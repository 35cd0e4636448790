/** Credentials that end some day, or never. */
export interface Ending {
  expiration?: Date;
}

/**
 * The SDK's clients ask anew when less than this is left (`isIdentityExpired`), so earlier would be in vain, and
 * later would make them ask again with each request.
 */
const REFRESH_BEFORE_MS = 5 * 60_000;

/** While a refresh fails and the old credentials still hold, it is tried this often. */
const RETRY_AFTER_MS = 30_000;

/** Credentials with less than this left are not handed out after a failed refresh. */
const LEAST_LEFT_MS = 10_000;

/**
 * Keeps what `fetch` gives until it is near its end, for all clients together; asked at the same time, it fetches
 * once. A refresh that fails does no harm while the old credentials hold; after that its error is thrown.
 */
export function keptCredentials<T extends Ending, A extends unknown[]>(
  fetch: (...args: A) => Promise<T>,
  now: () => number,
): (...args: A) => Promise<T> {
  let kept: T | undefined;
  let underWay: Promise<T> | undefined;
  let failedAt = Number.NEGATIVE_INFINITY;

  const left = (): number =>
    kept === undefined ? 0 : (kept.expiration?.getTime() ?? Number.POSITIVE_INFINITY) - now();

  const refresh = async (...args: A): Promise<T> => {
    try {
      kept = await fetch(...args);
      return kept;
    } catch (error) {
      failedAt = now();
      if (kept !== undefined && left() > LEAST_LEFT_MS) return kept;
      throw error;
    } finally {
      underWay = undefined;
    }
  };

  return (...args) => {
    const waiting = now() - failedAt < RETRY_AFTER_MS && left() > LEAST_LEFT_MS;
    if (kept !== undefined && (left() > REFRESH_BEFORE_MS || waiting)) return Promise.resolve(kept);
    underWay ??= refresh(...args);
    return underWay;
  };
}
