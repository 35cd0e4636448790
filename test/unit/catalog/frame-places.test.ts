import { appendFileSync, closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { framePlaces, readFrame } from '#src/catalog/frame-places.js';
import { FramesDamaged, FrameWriter } from '#src/catalog/frames.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFrames, writeFrames } from '../../kit/frame-files.js';
import { temporaryFolder } from '../../kit/temporary.js';

interface Outcome {
  /** By number: the frames that came out. */
  frames: Map<number, { type: number; payload: string }>;
  /** The list of frames ended with an error, or a frame on it was not what was written. */
  damaged: boolean;
}

/** Finds all frames first, and then reads them from the last to the first. */
function readAll(path: string): Outcome {
  const fd = openSync(path, 'r');
  const outcome: Outcome = { frames: new Map(), damaged: false };
  const damagedAt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(FramesDamaged);
      outcome.damaged = true;
    }
  };
  try {
    const places: Parameters<typeof readFrame>[1][] = [];
    damagedAt(() => {
      for (const place of framePlaces(fd)) places.push(place);
    });
    for (const place of places.toReversed()) {
      damagedAt(() => {
        const payload = readFrame(fd, place).view.toString('latin1');
        outcome.frames.set(place.index, { type: place.type, payload });
      });
    }
    return outcome;
  } finally {
    closeSync(fd);
  }
}

/** Zeros behind a payload of so many bytes, up to a multiple of 8. */
const paddingAfter = (length: number): number => (8 - (length % 8)) % 8;

describe('frames found by their places', () => {
  it('are the same as when they are read in order, in whichever order they are read', () => {
    const path = join(temporaryFolder(), 'frames');
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary-ascii', maxLength: 3000 }), { maxLength: 20 }),
        (payloads) => {
          writeFrames(path, payloads);
          const { frames, damaged } = readAll(path);
          expect(damaged).toBe(false);
          expect([...frames.keys()]).toEqual(payloads.map((_, index) => index).toReversed());
          expect([...frames.values()].toReversed()).toEqual(readFrames(path));
        },
      ),
    );
  });

  it('have payloads at addresses that words can have', () => {
    const path = join(temporaryFolder(), 'frames');
    writeFrames(path, ['x', 'xyz', 'a longer one']);
    const fd = openSync(path, 'r');
    const offsets = [...framePlaces(fd)].map((place) => readFrame(fd, place).view.byteOffset % 4);
    closeSync(fd);
    expect(offsets).toEqual([0, 0, 0]);
  });

  it('with any byte changed, any cut and any addition are damaged, and no wrong frame comes out', () => {
    const path = join(temporaryFolder(), 'frames');
    const payloads = ['first', 'second, somewhat longer', '', 'last'];
    writeFrames(path, payloads);
    const whole = readFileSync(path);
    const right = readFrames(path);
    // Zeros that fill up a frame belong to nothing.
    const filling = new Set<number>();
    let end = 0;
    for (const { length } of [...payloads, '1234']) {
      end += 24 + length;
      for (let at = 0; at < paddingAfter(length); at++) filling.add(end++);
    }
    expect(end).toBe(whole.length);
    const check = (isDamaged: boolean): void => {
      const { frames, damaged } = readAll(path);
      expect(damaged).toBe(isDamaged);
      for (const [index, frame] of frames) expect(frame).toEqual(right[index]);
      if (!isDamaged) expect(frames.size).toBe(right.length);
    };
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      writeFileSync(path, changed);
      check(!filling.has(at));
    }
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      // What is cut from behind the last frame's payload was filling.
      check(length < whole.length - paddingAfter(4));
    }
    writeFileSync(path, whole);
    appendFileSync(path, 'x');
    check(true);
  });

  it('kept from a file that was cut or changed anywhere come out whole', () => {
    const folder = temporaryFolder();
    const [last, next] = [join(folder, 'last'), join(folder, 'next')];
    writeFrames(last, ['first', 'second, somewhat longer', '', 'last']);
    const whole = readFileSync(last);
    const right = readFrames(last);
    const keepAndAdd = (): void => {
      const fd = openSync(last, 'r');
      const writer = new FrameWriter(next, last);
      const kept: typeof right = [];
      try {
        for (const place of framePlaces(fd)) {
          const payload = readFrame(fd, place);
          kept.push({ type: place.type, payload: payload.view.toString('latin1') });
          writer.keep(place, payload);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FramesDamaged);
      } finally {
        closeSync(fd);
      }
      writer.write(9, Buffer.from('added'));
      writer.finish();
      expect(right.slice(0, kept.length)).toEqual(kept);
      // Changed filling comes along: readers by place do not look at it.
      const { frames, damaged } = readAll(next);
      expect(damaged).toBe(false);
      expect([...frames.values()].toReversed()).toEqual([...kept, { type: 9, payload: 'added' }]);
    };
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(last, whole);
      truncateSync(last, length);
      keepAndAdd();
    }
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      writeFileSync(last, changed);
      keepAndAdd();
    }
  });
});
