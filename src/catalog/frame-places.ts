import { fstatSync, readSync } from 'node:fs';
import { OwnMemory } from '../own-memory.js';
import {
  checksum,
  END,
  endOf,
  FRAME_HEAD_SIZE,
  type FramePlace,
  FramesDamaged,
  MAX_PAYLOAD,
} from './frames.js';

/**
 * Finds the frames of an open file by their lengths, without reading them: {@link readFrame} tells whether one is whole.
 * Throws {@link FramesDamaged} where the file does not go on as one does.
 */
export function* framePlaces(fd: number): Generator<FramePlace> {
  const window = Buffer.alloc(FRAME_HEAD_SIZE);
  const { size } = fstatSync(fd);
  let index = 0;
  for (let at = 0; ; index++) {
    const got = readSync(fd, window, 0, window.length, at);
    if (got < FRAME_HEAD_SIZE) throw new FramesDamaged('the file ends too early');
    const length = window.readUInt32LE(0);
    const type = window.readUInt32LE(4);
    if (length > MAX_PAYLOAD) throw new FramesDamaged(`frame ${index} has an impossible length`);
    const place = { index, type, start: at + FRAME_HEAD_SIZE, length };
    if (place.start + length > size) throw new FramesDamaged('the file ends too early');
    at = endOf(place);
    if (type !== END) {
      yield place;
      continue;
    }
    const count = readFrame(fd, place).view;
    if (count.length !== 4 || count.readUInt32LE(0) !== index) throw new FramesDamaged('wrong frame count');
    if (readSync(fd, window, 0, 1, at) > 0) throw new FramesDamaged('bytes after the end');
    return;
  }
}

/** The payload of a frame. Throws {@link FramesDamaged} where it is not what was written. */
export function readFrame(fd: number, { index, type, start, length }: FramePlace): OwnMemory {
  const frame = Buffer.allocUnsafeSlow(FRAME_HEAD_SIZE + length);
  const from = start - FRAME_HEAD_SIZE;
  let done = 0;
  while (done < frame.length) {
    const got = readSync(fd, frame, done, frame.length - done, from + done);
    if (got === 0) throw new FramesDamaged('the file ends too early');
    done += got;
  }
  const payload = frame.subarray(FRAME_HEAD_SIZE);
  if (!checksum(index, type, payload).equals(frame.subarray(8, FRAME_HEAD_SIZE))) {
    throw new FramesDamaged(`frame ${index} does not match its checksum`);
  }
  return OwnMemory.ofOnlyView(payload);
}
