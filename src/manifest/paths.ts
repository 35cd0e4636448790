import { type BytePath, pathFromBytes, pathFromText, textOfPath } from '../files/byte-path.js';

/** How a path stands in a manifest line: as text where its bytes are valid UTF-8, else as base64. */
export type PathInLine = { path: string } | { path64: string };

/** How a link's target stands in a manifest line. */
export type TargetInLine = { tgt: string } | { tgt64: string };

/** The fields for a path. */
export function pathFields(path: BytePath): PathInLine {
  const text = textOfPath(path);
  return text === undefined ? { path64: base64Of(path) } : { path: text };
}

/** The path of an entry or problem; undefined where the line has none (a problem of a picker). */
export function pathOf(line: { path?: string; path64?: string }): BytePath | undefined {
  if (line.path !== undefined) return pathFromText(line.path);
  if (line.path64 !== undefined) return pathFromBytes(Buffer.from(line.path64, 'base64'));
  return undefined;
}

/** The path of a directory, symlink or file; empty where the line was never validated and has none. */
export function entryPath(entry: { path?: string; path64?: string }): BytePath {
  return pathOf(entry) ?? pathFromText('');
}

/** The fields for a link's target. */
export function targetFields(target: BytePath): TargetInLine {
  const text = textOfPath(target);
  return text === undefined ? { tgt64: base64Of(target) } : { tgt: text };
}

/** Where a symlink entry points. */
export function linkTarget(entry: { tgt?: string; tgt64?: string }): BytePath {
  if (entry.tgt !== undefined) return pathFromText(entry.tgt);
  return pathFromBytes(Buffer.from(entry.tgt64 ?? '', 'base64'));
}

function base64Of(path: BytePath): string {
  return Buffer.from(path, 'latin1').toString('base64');
}
