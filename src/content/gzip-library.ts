import type { GzipLibrary } from '../config/compression.js';
import type { ContentSettings } from '../config/settings.js';
import { libdeflate, requireLibdeflate } from './libdeflate.js';

/** The library that a setting means on this system. Throws CONFIG where it has to be libdeflate and that is missing. */
export function gzipLibraryFor(setting: ContentSettings['gzipLibrary']): GzipLibrary {
  if (setting === 'libdeflate') requireLibdeflate();
  if (setting !== 'auto') return setting;
  return libdeflate() === undefined ? 'zlib' : 'libdeflate';
}
