import { OwnMemory } from '#src/own-memory.js';
import { describe, expect, it } from 'vitest';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe('memory with one owner', () => {
  it('can be read until it is released, and then no more', () => {
    const bytes = Buffer.allocUnsafeSlow(5);
    bytes.write('whole');
    const memory = OwnMemory.of(bytes);
    expect(text(memory.view)).toBe('whole');
    memory.release();
    memory.release();
    expect(() => memory.view).toThrow('given away');
    // It was the memory itself, and no copy of it.
    expect(bytes.length).toBe(0);
  });

  it('leaves the rest of a buffer of which it was given a part', () => {
    const bytes = Buffer.allocUnsafeSlow(10);
    bytes.write('first last');
    const first = OwnMemory.of(bytes.subarray(0, 5));
    const last = OwnMemory.of(bytes.subarray(6));
    first.release();
    expect([text(bytes), text(last.view)]).toEqual(['first last', 'last']);
  });

  it('of numbers too', () => {
    const numbers = Uint32Array.of(1, 2, 3, 4);
    const part = OwnMemory.of(numbers.subarray(1, 3));
    expect([...part.view]).toEqual([2, 3]);
    part.release();
    expect([...numbers]).toEqual([1, 2, 3, 4]);
    OwnMemory.of(numbers).release();
    expect(numbers.length).toBe(0);
  });

  it('is gone for who has given it to another thread, which gets a buffer of just that length', () => {
    const bytes = Buffer.allocUnsafeSlow(10);
    bytes.write('first last');
    const memory = OwnMemory.ofOnlyView(bytes.subarray(6));
    const { view, buffer } = memory.transfer();
    expect([text(view), view.buffer === buffer, buffer.byteLength]).toEqual(['last', true, 4]);
    expect(() => memory.view).toThrow('given away');
    expect(() => memory.transfer()).toThrow('given away');
  });

  it('never takes what several threads have', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(7);
    const memory = OwnMemory.of(shared);
    memory.release();
    expect(shared[3]).toBe(7);
  });
});
