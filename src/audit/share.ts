import { SysbackupError } from '../errors.js';

/**
 * Chooses a share of things, each by a number of its own from 0 to 2^32 - 1: `seed` 0 takes those in the first
 * `percent` of that range, `seed` 1 those in the next, and so on around. Throws USAGE where there is no such share.
 */
export function share(percent: number, seed: number): (die: number) => boolean {
  if (!(percent >= 0 && percent <= 100))
    throw new SysbackupError('USAGE', `${percent} is no percentage`, { hint: 'Give one from 0 to 100.' });
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new SysbackupError('USAGE', `${seed} is no seed`, { hint: 'Give a whole number from 0 on.' });
  if (percent === 100) return () => true;
  const width = percent / 100;
  const start = (seed * width) % 1;
  return (die) => {
    const at = die / 2 ** 32 - start;
    return (at < 0 ? at + 1 : at) < width;
  };
}
