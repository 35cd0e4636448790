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

/** Codes as they are written: their bits, the first one lowest, and how many. */
interface Codes {
  bits: Uint32Array;
  counts: Uint8Array;
}

/** The fixed codes (3.2.6): literals, the end at 256, lengths from 257 on. */
const CODES = codesOf(288, (symbol) => {
  if (symbol < 144) return [reversed(0x30 + symbol, 8), 8];
  if (symbol < 256) return [reversed(0x190 + symbol - 144, 9), 9];
  return symbol < 280 ? [reversed(symbol - 256, 7), 7] : [reversed(0xc0 + symbol - 280, 8), 8];
});

const END = 256;

/** By length: the byte before, so many times more. The distance's code, that of 1, is five zeros. */
const RUNS = codesOf(LONGEST + 1, (length) => {
  if (length < SHORTEST) return [0, 0];
  const index = LENGTHS.findLastIndex((first) => first <= length);
  const count = CODES.counts[END + 1 + index] ?? 0;
  const extra = EXTRA_BITS[index] ?? 0;
  const more = length - (LENGTHS[index] ?? 0);
  return [(CODES.bits[END + 1 + index] ?? 0) | (more << count), count + extra + DISTANCE_BITS];
});

/** So much room is enough for so many bytes. */
export function roomForRuns(length: number): number {
  return length + (length >> 3) + 8;
}

/** Writes to `to`, from `at`, and returns where that ends. There must be {@link roomForRuns}. */
export function deflateRuns(bytes: Uint8Array, to: Uint8Array, at: number): number {
  // The last block, and one with fixed codes.
  let held = 0b011;
  let bits = 3;
  let end = at;
  for (let from = 0; from <= bytes.length; ) {
    const byte = bytes[from] ?? END;
    held |= (CODES.bits[byte] ?? 0) << bits;
    for (bits += CODES.counts[byte] ?? 0; bits >= 8; bits -= 8) {
      to[end++] = held & 0xff;
      held >>>= 8;
    }
    const start = ++from;
    const limit = Math.min(bytes.length, start + LONGEST);
    while (from < limit && bytes[from] === byte) from++;
    const run = from - start;
    if (run < SHORTEST) {
      from = start;
      continue;
    }
    held |= (RUNS.bits[run] ?? 0) << bits;
    for (bits += RUNS.counts[run] ?? 0; bits >= 8; bits -= 8) {
      to[end++] = held & 0xff;
      held >>>= 8;
    }
  }
  if (bits > 0) to[end++] = held;
  return end;
}

function codesOf(length: number, codeOf: (symbol: number) => readonly [bits: number, count: number]): Codes {
  const codes = { bits: new Uint32Array(length), counts: new Uint8Array(length) };
  for (let symbol = 0; symbol < length; symbol++) [codes.bits[symbol], codes.counts[symbol]] = codeOf(symbol);
  return codes;
}

function reversed(code: number, count: number): number {
  let bits = 0;
  for (let bit = 0; bit < count; bit++) bits |= ((code >> bit) & 1) << (count - 1 - bit);
  return bits;
}
