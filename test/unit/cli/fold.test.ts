import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldRow } from '#cli/presentation/fold.js';

const LABEL = '  took        ';

describe('foldRow', () => {
  it('breaks between words only, within the columns unless a word is longer, and loses nothing', () => {
    const words = fc.array(fc.stringMatching(/^[a-z(),/]{1,30}$/), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 100 }), (list, columns) => {
        const lines = foldRow(LABEL, list.join(' '), columns);
        const texts = lines.map((line) => line.slice(LABEL.length));
        expect(texts.join(' ')).toBe(list.join(' '));
        expect(lines[0]?.startsWith(LABEL)).toBe(true);
        for (const line of lines.slice(1)) expect(line.startsWith(' '.repeat(LABEL.length))).toBe(true);
        for (const line of lines)
          if (line.length > columns) expect(line.slice(LABEL.length)).not.toContain(' ');
      }),
    );
  });

  it('has one line where there is no end to a line', () => {
    expect(foldRow(LABEL, 'a '.repeat(500), Number.POSITIVE_INFINITY)).toHaveLength(1);
  });
});
