import { readdirSync, readFileSync } from 'node:fs';
import { describe as describeFile, describeLink } from '#src/files/entry.js';
import { type BytePath, joinPath, pathForFs, pathFromBytes, pathFromText } from '#src/files/byte-path.js';
import { OwnerNames } from '#src/files/owners.js';
import { lstat } from '#src/files/stat.js';
import { pathFields } from '#src/manifest/paths.js';
import type { BlockRef, DataRef, FileEntry, ManifestLine } from '#src/manifest/types.js';
import { sha256 } from '../manifest/build-manifest.js';
import type { Scene } from './scene.js';

/** Length of the blocks that longer files are stored in. */
export const BLOCK = 64 * 1024;

/** The entries of all below a folder, as if that folder were `/`, their contents put into the scene's store. */
export async function backUpTree(scene: Scene, folder: string): Promise<ManifestLine[]> {
  const names = new OwnerNames();
  const lines = new Map<BytePath, ManifestLine>();
  const walk = async (real: BytePath, path: BytePath): Promise<void> => {
    const stat = lstat(real);
    if (typeof stat === 'string') throw new Error(`${real}: ${stat}`);
    await names.resolve([stat.uid], [stat.gid]);
    const described =
      stat.kind === 'symlink' ? describeLink(real, stat, names) : describeFile(real, stat, names);
    if (described.is === 'unresolved') {
      await names.resolve(described.uids, described.gids);
      await walk(real, path);
      return;
    }
    if (described.is === 'failed') throw new Error(`${real}: ${described.errno}`);
    const head = { ...pathFields(path), ...described.metadata };
    if (stat.kind === 'directory') {
      lines.set(path, { typ: 'd', ...head } as ManifestLine);
      for (const name of readdirSync(pathForFs(real), { encoding: 'buffer' }))
        await walk(joinPath(real, pathFromBytes(name)), joinPath(path, pathFromBytes(name)));
    } else if (stat.kind === 'symlink') lines.set(path, { typ: 'l', ...head } as ManifestLine);
    else {
      const bytes = readFileSync(pathForFs(real));
      const entry = { typ: 'f', ...head, dat: dataOf(scene, bytes), sha: sha256(bytes), size: bytes.length };
      const id = stat.links > 1 ? { id: stat.inodeId } : {};
      lines.set(path, { ...entry, ...id } as FileEntry);
    }
  };
  await walk(pathFromText(folder), pathFromText('/'));
  return [...lines.keys()].sort().map((path) => lines.get(path) as ManifestLine);
}

function dataOf(scene: Scene, bytes: Buffer): DataRef {
  if (bytes.length === 0) return null;
  if (bytes.length <= BLOCK) return scene.object(bytes, bytes.length % 2 ? 'gzip' : undefined);
  const blocks: BlockRef[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    const ref = scene.object(block, 'gzip');
    const last = blocks.at(-1);
    if (last?.key === ref.key) last.n = (last.n ?? 1) + 1;
    else blocks.push({ ...ref, size: block.length });
  }
  return blocks;
}
