import type { Problem } from '../events.js';

/**
 * Whether what a picker printed can be all: nothing, or under half of what it printed last time, looks like an
 * unmounted disk. A run in which that is not allowed is broken.
 *
 * @param printed paths this time
 * @param lastPrinted paths in the last run that had this picker; undefined: there was none
 * @param allowed whether the conf lets this picker print nothing, or far less
 */
export function judgePicker(
  printed: number,
  lastPrinted: number | undefined,
  allowed: boolean,
  name = '',
): Problem | undefined {
  if (allowed) return undefined;
  const who = name === '' ? 'a picker' : `picker ${name}`;
  const source = name === '' ? {} : { source: name };
  const remedy = 'is a disk not mounted? If it may, name it in [programs] allow_empty';
  if (printed === 0) {
    return {
      severity: 'broken',
      code: 'picker-empty',
      message: `${who} printed no path: ${remedy}`,
      ...source,
    };
  }
  if (lastPrinted !== undefined && printed * 2 < lastPrinted) {
    return {
      severity: 'broken',
      code: 'picker-shrunk',
      message: `${who} printed ${printed} paths, under half of the ${lastPrinted} of last time: ${remedy}`,
      ...source,
    };
  }
  return undefined;
}
