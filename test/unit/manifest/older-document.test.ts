import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineFault } from '#src/manifest/line-fault.js';
import { OlderDocument } from '#src/manifest/older-document.js';

/** Items by list, of a document that comes in pieces of these lengths. */
function read(text: string, pieces: readonly number[] = [], longest = 1 << 20): Record<string, unknown[]> {
  const lists: Record<string, unknown[]> = { content: [], snapshots: [], log: [] };
  const document = new OlderDocument((list, item) => lists[list]?.push(item), longest);
  const bytes = Buffer.from(text);
  let at = 0;
  for (const length of pieces) {
    // A copy, as streams hand out buffers that they may use again.
    document.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  document.push(bytes.subarray(at));
  document.end();
  return lists;
}

describe('OlderDocument', () => {
  it('gives the items that JSON.parse gives, wherever the document is cut', () => {
    const list = fc.array(fc.jsonValue({ maxDepth: 3 }), { maxLength: 6 });
    const document = fc.record({
      content: list,
      snapshots: list,
      log: list,
      other: fc.jsonValue({ maxDepth: 3 }),
    });
    const cuts = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 30 });
    const space = fc.constantFrom(undefined, 1, '\t');
    fc.assert(
      fc.property(document, cuts, space, (value, pieces, indent) => {
        const { other, ...lists } = value;
        const text = JSON.stringify({ other, ...lists }, undefined, indent);
        expect(read(text, pieces)).toEqual(JSON.parse(JSON.stringify(lists)));
      }),
    );
  });

  it('takes lists in any order, and passes over what it does not know', () => {
    const text =
      '{"log":["a"],"x":{"content":[1]},"y":[["content",[2]],{}],"z":"]}","content":[{"b":"]\\""}],"n":null}';
    expect(read(text)).toEqual({ content: [{ b: ']"' }], snapshots: [], log: ['a'] });
  });

  it.each([
    ['', 'ends in the middle'],
    ['[]', 'is no JSON object'],
    ['{}', 'no list `content`'],
    ['{"snapshots":[]}', 'no list `content`'],
    ['{"content":{}}', 'is no list'],
    ['{"content":null}', 'no list `content`'],
    ['{"content":[1]', 'ends in the middle'],
    ['{"content":[1', 'ends in the middle'],
    ['{"content":["', 'ends in the middle'],
    ['{"content":[1}}', 'is no JSON'],
    ['{"content":[1]]', 'is no JSON'],
    ['{"content":[1 2]}', 'is no JSON'],
    ['{"content":[{]}}]}', 'is no JSON'],
    ['{"content":[]} {}', 'after its end'],
    ['{"content":[]}\n', undefined],
  ])('%s: %s', (text, fault) => {
    if (fault === undefined) expect(read(text)['content']).toEqual([]);
    else {
      expect(() => read(text)).toThrow(LineFault);
      expect(() => read(text)).toThrow(fault);
    }
  });

  it('refuses every document that is cut short', () => {
    const text = JSON.stringify({ content: [{ path: '/a' }, { path: '/b"\\' }], snapshots: ['s'], log: [] });
    for (let length = 0; length < text.length; length++)
      expect(() => read(text.slice(0, length))).toThrow(LineFault);
  });

  it('does not hold an item without end', () => {
    const endless = `{"content":["${'x'.repeat(5000)}`;
    expect(() => read(endless, [1000, 1000, 1000], 2000)).toThrow('longer than any may be');
  });
});
