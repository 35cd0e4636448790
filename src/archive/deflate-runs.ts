/**
 * Deflate (RFC 1951) for what is mostly runs of one byte, such as a tar's headers: one block with the fixed codes, in
 * which only a byte that repeats itself is shortened. zlib takes 50 µs to set its tables up, whatever there is to
 * compress; for as many headers as files that would be a third of a first run's time.
 */

/** Lengths of a match: the first of each code from 257 on, and how many bits of length follow it (3.2.5). */
const LENGTHS = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const EXTRA_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const SHORTEST = 3;
const LONGEST = 258;
const DISTANCE_BITS = 5;

/** A code's bits as they are written, the first bit lowest, and how many. */
interface Bits {
  bits: number;
  count: number;
}

/** The fixed codes (3.2.6): literals, the end at 256, lengths from 257 on. */
const CODES: readonly Bits[] = Array.from({ length: 288 }, (_, symbol) => {
  if (symbol < 144) return reversed(0x30 + symbol, 8);
  if (symbol < 256) return reversed(0x190 + symbol - 144, 9);
  return symbol < 280 ? reversed(symbol - 256, 7) : reversed(0xc0 + symbol - 280, 8);
});

/** By length: the byte before, so many times more. The distance's code, that of 1, is five zeros. */
const RUNS: readonly Bits[] = Array.from({ length: LONGEST + 1 }, (_, length) => {
  if (length < SHORTEST) return { bits: 0, count: 0 };
  const index = LENGTHS.findLastIndex((first) => first <= length);
  const { bits, count } = CODES[257 + index] as Bits;
  const extra = EXTRA_BITS[index] ?? 0;
  const more = length - (LENGTHS[index] ?? 0);
  return { bits: bits | (more << count), count: count + extra + DISTANCE_BITS };
});

export function deflateRuns(bytes: Uint8Array): Buffer {
  const to = Buffer.allocUnsafe(bytes.length + (bytes.length >> 3) + 8);
  // The last block, and one with fixed codes.
  let held = 0b011;
  let bits = 3;
  let end = 0;
  const write = (code: Bits | undefined): void => {
    if (code === undefined) return;
    held |= code.bits << bits;
    for (bits += code.count; bits >= 8; bits -= 8) {
      to[end++] = held & 0xff;
      held >>>= 8;
    }
  };
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0;
    write(CODES[byte]);
    const start = ++at;
    while (at < bytes.length && bytes[at] === byte && at - start < LONGEST) at++;
    if (at - start >= SHORTEST) write(RUNS[at - start]);
    else at = start;
  }
  write(CODES[256]);
  if (bits > 0) to[end++] = held;
  return to.subarray(0, end);
}

function reversed(code: number, count: number): Bits {
  let bits = 0;
  for (let bit = 0; bit < count; bit++) bits |= ((code >> bit) & 1) << (count - 1 - bit);
  return { bits, count };
}
