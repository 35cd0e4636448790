import { FrameReader, FrameWriter } from '#src/catalog/frames.js';

/** Writes a whole file of frames of several types. */
export function writeFrames(path: string, payloads: readonly string[]): void {
  const writer = new FrameWriter(path);
  for (const [index, payload] of payloads.entries())
    writer.write((index % 3) + 1, Buffer.from(payload, 'latin1'));
  writer.finish();
}

/** All frames of a file in their order. Throws where it is not what was written. */
export function readFrames(path: string): { type: number; payload: string }[] {
  const reader = new FrameReader(path);
  try {
    const frames = [];
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      frames.push({ type: frame.type, payload: frame.payload.toString('latin1') });
    }
    return frames;
  } finally {
    reader.close();
  }
}
