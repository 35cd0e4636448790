import { lstatSync, readdirSync } from 'node:fs';

/** A folder to back up. */
export interface Tree {
  path: string;
  /** What it is, for a reader. */
  name: string;
  files: number;
  folders: number;
  links: number;
  /** Of all files. */
  bytes: number;
}

/** What is in a folder, on its own file system. Names may be any bytes. */
export function survey(path: string, name = path): Tree {
  const tree: Tree = { path, name, files: 0, folders: 0, links: 0, bytes: 0 };
  for (const { kind, size } of walk(Buffer.from(path))) {
    if (kind === 'folder') tree.folders += 1;
    else if (kind === 'link') tree.links += 1;
    else if (kind === 'file') {
      tree.files += 1;
      tree.bytes += size;
    }
  }
  return tree;
}

export interface Found {
  path: Buffer;
  kind: 'file' | 'folder' | 'link' | 'other';
  size: number;
  device: number;
}

const SLASH = Buffer.from('/');

/** A folder and all below it on the same file system, folders before what is in them, in the order of their names. */
export function* walk(path: Buffer, device = lstatSync(path).dev): Generator<Found> {
  const found = look(path);
  if (found.device !== device) return;
  yield found;
  if (found.kind !== 'folder') return;
  const names = readdirSync(path, { encoding: 'buffer' }).toSorted((a, b) => Buffer.compare(a, b));
  for (const name of names) yield* walk(Buffer.concat([path, SLASH, name]), device);
}

function look(path: Buffer): Found {
  const stat = lstatSync(path);
  const kind = stat.isFile()
    ? 'file'
    : stat.isDirectory()
      ? 'folder'
      : stat.isSymbolicLink()
        ? 'link'
        : 'other';
  return { path, kind, size: stat.size, device: stat.dev };
}
