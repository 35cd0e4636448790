import * as zlib from 'node:zlib';
import type { Encoding } from './compression.js';
import type { SettingReader } from './setting-reader.js';
import type { ContentSettings } from './settings.js';
import { oneOf, seconds, size, wholeNumber, YES_OR_NO } from './value-kinds.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** 100 years: above it a number of days is a mistake, and a lock in COMPLIANCE mode one for life. */
export const MAX_DAYS = 36_500;

/** Blocks are held in memory, several at once. */
const MAX_BLOCK = 256 * MIB;
const MAX_BUNDLED = 16 * MIB;
/** What `write-config` writes, and a machine begins with where nothing is set. */
export const USUAL_BUNDLE_BELOW = MIB;

const DEFAULT_LEVEL: Record<Encoding, number> = { gzip: 6, zstd: 3 };
const MAX_LEVEL: Record<Encoding, number> = { gzip: 9, zstd: 22 };

/** Node has zstd since 22.15. */
const ENCODINGS: Encoding[] = 'zstdCompressSync' in zlib ? ['gzip', 'zstd'] : ['gzip'];

const WITHOUT_ZSTD = ENCODINGS.includes('zstd') ? '' : ` (this Node, ${process.version}, has no zstd)`;
const WORDS = oneOf([...ENCODINGS, 'none']);
const COMPRESSION = { ...WORDS, allowed: WORDS.allowed + WITHOUT_ZSTD };

/** `[content]`. */
export function readContentSection(reader: SettingReader): ContentSettings {
  const lockTimeout = reader.value('content', 'lock_timeout', seconds(0, 86_400), 2);
  const daysRetained = reader.value('content', 'days_retained', wholeNumber('days', 1, MAX_DAYS), 14);
  const mode = reader.value('content', 'mode', oneOf(['GOVERNANCE', 'COMPLIANCE']), 'GOVERNANCE');
  const share = reader.value('content', 'share', YES_OR_NO, true);
  const blockSize = reader.value('content', 'block_size', size(4 * KIB, MAX_BLOCK), 16 * MIB);
  const bundleBelow = reader.optional('content', 'bundle_below', size(0, Math.min(blockSize, MAX_BUNDLED)));
  return { lockTimeout, daysRetained, mode, share, bundleBelow, blockSize, ...readCompression(reader) };
}

function readCompression(
  reader: SettingReader,
): Pick<ContentSettings, 'compression' | 'compressionLevel' | 'gzipLibrary'> {
  const gzipLibrary = reader.value('content', 'gzip_library', oneOf(['auto', 'zlib', 'libdeflate']), 'auto');
  const compression = reader.value('content', 'compression', COMPRESSION, 'gzip');
  if (compression === 'none') {
    reader.optional('content', 'compression_level', wholeNumber('levels', 0, MAX_LEVEL.zstd));
    return { compression, compressionLevel: 0, gzipLibrary };
  }
  const highest = MAX_LEVEL[compression];
  const level = {
    ...wholeNumber('', 1, highest),
    allowed: `a level of ${compression}, from 1 to ${highest}`,
  };
  const otherwise = DEFAULT_LEVEL[compression];
  return {
    compression,
    compressionLevel: reader.value('content', 'compression_level', level, otherwise),
    gzipLibrary,
  };
}
