import type { FileEntry, FileWarning, ManifestEntry } from '../../src/index.js';
import { countOf } from './quantities.js';

/** Copies that may not be what the file was at any one time, by reason; undefined where there are none. */
export function doubtfulText(warnings: Readonly<Record<FileWarning, number>>): string | undefined {
  const changed = warnings['changed-while-reading'];
  const unlocked = warnings['unlocked-copy'];
  const parts = [
    ...(changed === 0 ? [] : [`${countOf(changed, 'file')} changed while being read`]),
    ...(unlocked === 0
      ? []
      : [`${countOf(unlocked, 'file')} copied without ${unlocked === 1 ? 'its lock' : 'their locks'}`]),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}

/** Whether it is a file whose copy may not be what the file was at any one time. */
export function isDoubtful(entry: ManifestEntry): entry is FileEntry & { w: FileWarning[] } {
  return entry.typ === 'f' && entry.w !== undefined && entry.w.length > 0;
}
