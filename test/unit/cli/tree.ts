import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Each name below a folder with what can be compared of it, names as latin-1 bytes. */
export function describeTree(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  visit(Buffer.from(folder), '', found);
  return found;
}

function visit(path: Buffer, name: string, found: Map<string, string>): void {
  const stats = lstatSync(path, { bigint: true });
  const parts = [stats.mode.toString(8), stats.uid, stats.gid, stats.mtimeNs];
  if (stats.isSymbolicLink()) parts.push(readlinkSync(path, 'latin1'));
  if (stats.isFile()) parts.push(stats.nlink, readFileSync(path, 'base64'));
  found.set(name, parts.join(' '));
  if (!stats.isDirectory()) return;
  for (const child of readdirSync(path, { encoding: 'buffer' }))
    visit(Buffer.concat([path, Buffer.from('/'), child]), `${name}/${child.toString('latin1')}`, found);
}
