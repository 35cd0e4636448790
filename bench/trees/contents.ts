import type { Random } from './random.js';

/** How a file's bytes are made: words, which gzip to about a third; records, to about two thirds; or noise. */
export type Texture = 'text' | 'records' | 'noise';

/** Bytes that no other file has, so that nothing is stored once that in real life would be twice. */
export function contentOf(texture: Texture, size: number, random: Random): Buffer {
  if (texture === 'noise') return random.bytes(size);
  return texture === 'text' ? text(size, random) : records(size, random);
}

const SYLLABLES = 'ba de fi go ku la me ni po ru sa te vi wo xu za chi der ent ing'.split(' ');
const WORDS = Array.from({ length: 4096 }, (_, index) => {
  const syllable = (shift: number): string => SYLLABLES[(index >> shift) % SYLLABLES.length] ?? '';
  const word = syllable(0) + (index > 40 ? syllable(4) : '') + (index > 800 ? syllable(7) : '');
  return Buffer.from(`${word}${index % 11 === 0 ? '\n' : ' '}`);
});

function text(size: number, random: Random): Buffer {
  const out = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const draw = random.uint32();
    // Few words are frequent, as in a language.
    const rank = draw & 0xfff & ((draw >> 12) & 3 ? (draw >> 14) & 0xfff : 0xfff);
    at += (WORDS[rank] ?? Buffer.from(' ')).copy(out, at);
  }
  return out;
}

function records(size: number, random: Random): Buffer {
  const out = random.bytes(size);
  // Of every 16 bytes six are the same in each record.
  for (let at = 0; at < size; at += 16) out.fill(0, at, Math.min(at + 6, size));
  return out;
}
