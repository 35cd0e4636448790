import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { collectInto } from '#src/restore/collect.js';

/** With memory of its own, as what comes from a socket has. */
const own = (text: string): Buffer => {
  const bytes = Buffer.allocUnsafeSlow(text.length);
  bytes.write(text);
  return bytes;
};

describe('collecting a stream in memory that is there', () => {
  it('writes all of it, and tells how much that was', async () => {
    const into = new Uint8Array(new SharedArrayBuffer(16));
    const length = await collectInto(into, Readable.from([own('one '), own('two '), own('three')]), 'it');
    expect(length).toBe(13);
    expect(Buffer.from(into).toString()).toBe('one two three\0\0\0');
  });

  it('frees each piece, but no more than what came', async () => {
    const whole = own('whole');
    const longer = own('-part-rest');
    const into = new Uint8Array(16);
    expect(await collectInto(into, Readable.from([whole, longer.subarray(1, 5)]), 'it')).toBe(9);
    expect(Buffer.from(into).toString('latin1', 0, 9)).toBe('wholepart');
    expect(whole.length).toBe(0);
    expect(longer.toString()).toBe('-part-rest');
  });

  it('writes nothing behind the end of it', async () => {
    const memory = new Uint8Array(8).fill(0x2e);
    const collecting = collectInto(
      memory.subarray(0, 4),
      Readable.from([own('abc'), own('def')]),
      'bundle b',
    );
    await expect(collecting).rejects.toMatchObject({
      code: 'DAMAGED',
      message: expect.stringContaining('bundle b gives more than the 4 bytes') as string,
    });
    expect(Buffer.from(memory).toString()).toBe('abc.....');
  });

  it('rejects with what the stream fails with', async () => {
    const failing = Readable.from(
      (async function* () {
        yield own('some');
        throw new Error('broke off');
      })(),
    );
    await expect(collectInto(new Uint8Array(16), failing, 'it')).rejects.toThrow('broke off');
  });
});
