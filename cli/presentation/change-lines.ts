import { type Change, type ChangedPart, linkTarget, type ManifestEntry } from '../../src/index.js';
import { modeText, shownName, shownPath, shownTime } from './entry-lines.js';
import { printable } from './printable.js';
import { formatBytes } from './quantities.js';

const KINDS: Record<ManifestEntry['typ'], string> = { d: 'folder', l: 'symlink', f: 'file', s: 'snapshot' };

/** `+ /path`, `- /path`, or `~ /path: ` with each thing that changed. */
export function changeLine(change: Change): string {
  if (change.change === 'added') return `+ ${shownName(change.after)}${kindMark(change.after)}`;
  if (change.change === 'removed') return `- ${shownName(change.before)}${kindMark(change.before)}`;
  const { before, after, parts } = change;
  const what = parts.flatMap((part) => partText(part, before, after));
  return `~ ${shownName(after)}${kindMark(after)}: ${what.join(', ')}`;
}

/** So that a folder does not look like a file, nor a snapshot like a path. */
function kindMark({ typ }: ManifestEntry): string {
  return typ === 'd' ? '/' : typ === 's' ? ' (snapshot)' : '';
}

function partText(part: ChangedPart, before: ManifestEntry, after: ManifestEntry): string[] {
  switch (part) {
    case 'kind':
      return [fromTo(part, KINDS[before.typ], KINDS[after.typ])];
    case 'content':
      return [contentText(before, after)];
    case 'target':
      return [fromTo(part, targetText(before), targetText(after))];
    case 'mode':
      return [fromTo(part, modeText(before).slice(1, 10), modeText(after).slice(1, 10))];
    case 'owner':
    case 'group':
      return [fromTo(part, ownerText(before, after, part), ownerText(after, before, part))];
    case 'acl':
      return [aclText(before, after)];
    case 'xattr':
      return attributesText(before, after);
    case 'time':
      return [fromTo(part, timeText(before), timeText(after))];
    case 'description':
      return [part];
  }
}

function fromTo(what: string, before: string, after: string): string {
  return before === after ? what : `${what} ${before} -> ${after}`;
}

function contentText(before: ManifestEntry, after: ManifestEntry): string {
  const [old, young] = [sizeOf(before), sizeOf(after)];
  if (old === undefined || young === undefined || old === young) return 'content';
  const [from, to] = [formatBytes(old), formatBytes(young)];
  // What rounds to the same is told exactly.
  return from === to ? `content ${old} B -> ${young} B` : `content ${from} -> ${to}`;
}

function sizeOf(entry: ManifestEntry): number | undefined {
  return entry.typ === 'f' || entry.typ === 's' ? entry.size : undefined;
}

function targetText(entry: ManifestEntry): string {
  return entry.typ === 'l' ? shownPath(linkTarget(entry)) : '';
}

/** With its number where the name alone does not tell the two apart. */
function ownerText(entry: ManifestEntry, other: ManifestEntry, part: 'owner' | 'group'): string {
  if (entry.typ === 's' || other.typ === 's') return '';
  const [name, otherName] = part === 'owner' ? [entry.o, other.o] : [entry.g, other.g];
  const id = part === 'owner' ? entry.uid : entry.gid;
  return printable(name === otherName && id !== undefined ? `${name} (${id})` : String(name));
}

function timeText(entry: ManifestEntry): string {
  return entry.typ === 's' || entry.mt === undefined ? '?' : shownTime(entry.mt);
}

const ACL_LINES_SHOWN = 6;

/** The ACL's lines that went and came; where they are many, only that it changed. */
function aclText(before: ManifestEntry, after: ManifestEntry): string {
  const [old, young] = [aclLines(before), aclLines(after)];
  const changed = [
    ...old.filter((line) => !young.includes(line)).map((line) => `-${line}`),
    ...young.filter((line) => !old.includes(line)).map((line) => `+${line}`),
  ];
  return changed.length > ACL_LINES_SHOWN ? 'ACL' : printable(['ACL', ...changed].join(' '));
}

function aclLines(entry: ManifestEntry): string[] {
  const acl = entry.typ === 'd' || entry.typ === 'f' ? entry.acl : undefined;
  return acl === undefined ? [] : acl.split('\n').filter((line) => line !== '');
}

function attributesText(before: ManifestEntry, after: ManifestEntry): string[] {
  if (before.typ === 's' || after.typ === 's') return [];
  const [old, young] = [before.xattr ?? {}, after.xattr ?? {}];
  const names = [...new Set([...Object.keys(old), ...Object.keys(young)])];
  return names
    .filter((name) => old[name] !== young[name])
    .map(
      (name) =>
        `attribute ${old[name] === undefined ? '+' : young[name] === undefined ? '-' : ''}${printable(name)}`,
    );
}
