import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { pathFromBytes } from '#src/files/byte-path.js';
import { readXattrs } from '#src/files/xattr.js';

/** What a backup has to bring back of one path. */
export interface PathFacts {
  kind: 'd' | 'f' | 'l' | 'other';
  mode: number;
  owner: string;
  mtimeNs: bigint;
  /** SHA-256 of a file's content, or a symlink's target, as bytes in latin-1. */
  content: string;
  /** Extended attributes and ACLs. */
  attributes: unknown;
  /** The first path, in byte order, of the same inode; undefined for folders. */
  sameAs: string | undefined;
}

/** Facts of everything below a folder and of itself, by paths relative to it as bytes in latin-1. */
export function treeFacts(root: string | Buffer): Map<string, PathFacts> {
  const facts = new Map<string, PathFacts>();
  const inodes = new Map<string, string>();
  const visit = (path: Buffer, relative: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const kind = stat.isDirectory() ? 'd' : stat.isFile() ? 'f' : stat.isSymbolicLink() ? 'l' : 'other';
    const inode = `${stat.dev}:${stat.ino}`;
    if (kind !== 'd' && !inodes.has(inode)) inodes.set(inode, relative);
    facts.set(relative, {
      kind,
      mode: kind === 'l' ? 0 : Number(stat.mode & 0o7777n),
      owner: `${stat.uid}:${stat.gid}`,
      mtimeNs: stat.mtimeNs,
      content:
        kind === 'f' ? sha256(path) : kind === 'l' ? readlinkSync(path, 'buffer').toString('latin1') : '',
      attributes: readXattrs(pathFromBytes(path)),
      sameAs: inodes.get(inode),
    });
    if (kind !== 'd') return;
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare))
      visit(Buffer.concat([path, Buffer.from('/'), name]), `${relative}/${name.toString('latin1')}`);
  };
  visit(Buffer.from(root), '');
  return facts;
}

function sha256(path: Buffer): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
