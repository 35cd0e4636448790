import { linkTarget } from '../manifest/paths.js';
import type { ManifestEntry } from '../manifest/types.js';

/** In what an entry can differ from the one of the same path in another run. */
export type ChangedPart =
  /** Another kind of thing altogether; then nothing else is said. */
  | 'kind'
  | 'content'
  /** Where a symlink points. */
  | 'target'
  | 'mode'
  | 'owner'
  | 'group'
  | 'acl'
  | 'xattr'
  /** Modification time. */
  | 'time'
  /** Of a snapshot: its description or the command that restores it. */
  | 'description';

/** In what two entries of one path differ; empty where they are alike. Other names of the same inode do not count. */
export function changedParts(before: ManifestEntry, after: ManifestEntry): ChangedPart[] {
  if (before.typ === 's' || after.typ === 's') {
    if (before.typ !== 's' || after.typ !== 's') return ['kind'];
    const says = before.description !== after.description || before.restore_through !== after.restore_through;
    return [
      ...(before.sha === after.sha ? [] : (['content'] as const)),
      ...(says ? (['description'] as const) : []),
    ];
  }
  if (before.typ !== after.typ) return ['kind'];
  const parts: ChangedPart[] = [];
  if (before.typ === 'f' && after.typ === 'f' && before.sha !== after.sha) parts.push('content');
  if (before.typ === 'l' && after.typ === 'l' && linkTarget(before) !== linkTarget(after))
    parts.push('target');
  if (before.typ !== 'l' && after.typ !== 'l') {
    if (before.mode !== after.mode) parts.push('mode');
    if (before.acl !== after.acl) parts.push('acl');
  }
  if (before.o !== after.o || before.uid !== after.uid) parts.push('owner');
  if (before.g !== after.g || before.gid !== after.gid) parts.push('group');
  if (!sameAttributes(before.xattr, after.xattr)) parts.push('xattr');
  if (before.mt !== after.mt) parts.push('time');
  return parts;
}

type Attributes = Record<string, string> | undefined;

function sameAttributes(before: Attributes, after: Attributes): boolean {
  if (before === after) return true;
  const names = Object.keys(before ?? {});
  if (names.length !== Object.keys(after ?? {}).length) return false;
  return names.every((name) => before?.[name] === after?.[name]);
}
