import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type {
  DirectoryEntry,
  FileEntry,
  ManifestFooter,
  ManifestHeader,
  ManifestLine,
  SymlinkEntry,
} from '#src/manifest/types.js';

export const RUN = '20260102T030405Z-abcd0123';
export const KEY = `manifests/host-backup/${RUN}.complete.jsonl.gz`;

export const header: ManifestHeader = {
  typ: 'manifest',
  format: 2,
  backup: 'host-backup',
  run: RUN,
  host: 'host',
  machine: 'abcd00000000',
  start: '2026-01-02T03:04:05.000Z',
  tool: 's3-sysbackup 0.1.0',
  retention: { mode: 'GOVERNANCE', until: '2026-01-30T00:00:00Z' },
};

const owner = { o: 'root', g: 'root', uid: 0, gid: 0 };
const mt = '1700000000.123456789';

export function directory(path: string, more: Partial<DirectoryEntry> = {}): DirectoryEntry {
  return { typ: 'd', path, ...owner, mode: 0o755, mt, ...more };
}

export function symlink(path: string, tgt: string, more: Partial<SymlinkEntry> = {}): SymlinkEntry {
  return { typ: 'l', path, ...owner, mt, tgt, ...more };
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A file of one object, or of none where it is empty. */
export function file(path: string, content: string | Buffer, more: Partial<FileEntry> = {}): FileEntry {
  const bytes = Buffer.from(content);
  const sha = sha256(bytes);
  const dat = bytes.length === 0 ? null : { key: `content/${sha}`, ver: 'v1' };
  return { typ: 'f', path, ...owner, mode: 0o644, mt, dat, sha, size: bytes.length, ...more };
}

/** A footer that is right for these lines. */
export function footerOf(lines: readonly ManifestLine[], more: Partial<ManifestFooter> = {}): ManifestFooter {
  const counts = { d: 0, l: 0, f: 0, s: 0, problems: 0 };
  let bytes = 0;
  for (const line of lines) {
    if (line.typ === 'problem') counts.problems += 1;
    else if (line.typ !== 'manifest' && line.typ !== 'end') counts[line.typ] += 1;
    if (line.typ === 'f' || line.typ === 's') bytes += line.size ?? 0;
  }
  return {
    typ: 'end',
    outcome: 'complete',
    counts,
    bytes,
    stored: { objects: 0, bytes: 0 },
    requests: { put: 1 },
    sha256: sha256(textOf(lines)),
    ...more,
  };
}

export function textOf(lines: readonly unknown[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** A manifest of these lines, the header and footer added, in two gzip members and the footer's. */
export function manifestOf(
  entries: readonly ManifestLine[],
  footer: Partial<ManifestFooter> = {},
  head: ManifestHeader = header,
): Buffer {
  const lines = [head, ...entries];
  return gzipped([lines.slice(0, 2), lines.slice(2), [footerOf(lines, footer)]]);
}

/** A gzip member for each list of lines. */
export function gzipped(members: readonly (readonly unknown[])[]): Buffer {
  return Buffer.concat(members.map((lines) => gzipSync(textOf(lines))));
}
