import { expect, it } from 'vitest';
import { judgePicker } from '#src/sources/judge-picker.js';

it.each([
  [10, undefined, false, undefined],
  [10, 20, false, undefined],
  [10, 21, false, 'picker-shrunk'],
  [0, undefined, false, 'picker-empty'],
  [0, 100, false, 'picker-empty'],
  [0, 100, true, undefined],
  [1, 100, true, undefined],
  [100, 0, false, undefined],
])('%i paths after %s, allowed %s: %s', (printed, last, allowed, code) => {
  const problem = judgePicker(printed, last, allowed, 'p');
  expect(problem?.code).toBe(code);
  if (problem) expect(problem).toMatchObject({ severity: 'broken', source: 'p' });
});
