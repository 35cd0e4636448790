import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FrameReader, FramesDamaged } from '#src/catalog/frames.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFrames, writeFrames } from '../../kit/frame-files.js';
import { temporaryFolder } from '../../kit/temporary.js';

describe('frames', () => {
  it('come back as they were written', () => {
    const path = join(temporaryFolder(), 'frames');
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary-ascii', maxLength: 3000 }), { maxLength: 20 }),
        (payloads) => {
          writeFrames(path, payloads);
          expect(readFrames(path).map(({ payload }) => payload)).toEqual(payloads);
        },
      ),
    );
  });

  it('come back across the reader’s buffers', () => {
    const path = join(temporaryFolder(), 'frames');
    const payloads = [1, 3 << 20, 5, (1 << 20) - 24, 700_000, 700_000].map((length, index) =>
      String(index).repeat(length),
    );
    writeFrames(path, payloads);
    expect(readFrames(path).map(({ payload }) => payload)).toEqual(payloads);
  });

  it('with any byte changed, any cut and any addition are damaged, and no wrong frame comes out', () => {
    const path = join(temporaryFolder(), 'frames');
    const payloads = ['first', 'second, somewhat longer', '', 'last'];
    writeFrames(path, payloads);
    const whole = readFileSync(path);
    const right = readFrames(path);
    const outcomes = (): { frames: { type: number; payload: string }[]; damaged: boolean } => {
      const reader = new FrameReader(path);
      const frames = [];
      try {
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
          frames.push({ type: frame.type, payload: frame.payload.toString('latin1') });
        }
        return { frames, damaged: false };
      } catch (error) {
        expect(error).toBeInstanceOf(FramesDamaged);
        return { frames, damaged: true };
      } finally {
        reader.close();
      }
    };
    const check = () => {
      const { frames, damaged } = outcomes();
      expect(damaged).toBe(true);
      expect(frames).toEqual(right.slice(0, frames.length));
    };
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(path, changed);
      check();
    }
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      check();
    }
    writeFileSync(path, whole);
    appendFileSync(path, 'x');
    check();
  });
});
