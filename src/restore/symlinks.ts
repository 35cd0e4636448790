import { baseOf, type BytePath, parentOf } from '../files/byte-path.js';
import type { SafeDir } from '../files/safe-dir.js';
import type { FileStat } from '../files/stat.js';
import { linkTarget } from '../manifest/paths.js';
import type { SymlinkEntry } from '../manifest/types.js';
import type { MetadataSetter } from './metadata.js';
import type { Overwrite, PathAction } from './options.js';
import type { RestoreReport } from './report.js';
import type { StopCause } from './stop-cause.js';
import type { TargetFolders } from './target-folders.js';
import { updateMetadata } from './update-metadata.js';

/** What restoring symlinks takes. */
export interface SymlinkWork {
  tree: TargetFolders | undefined;
  /** Of symlinks with several names, by id and target: the one restored first. */
  firsts: Map<string, { path: BytePath; inodeId: string }>;
  metadata: MetadataSetter;
  report: RestoreReport;
  stop: StopCause;
  overwrite: Overwrite;
  dryRun: boolean;
}

/**
 * Restores one symlink. Its target is text that is written and never followed. `dir` is the folder it is in,
 * undefined where that is not there yet (in a dry run).
 */
export function restoreSymlink(
  path: BytePath,
  entry: SymlinkEntry,
  dir: SafeDir | undefined,
  work: SymlinkWork,
): void {
  const { report, dryRun } = work;
  if (dir && !dryRun && work.overwrite !== 'never' && linkToFirst(path, entry, dir, work)) return;
  const existing = dir ? dir.stat(baseOf(path)) : 'ENOENT';
  const decided = decide(path, entry, dir, existing, work.overwrite);
  const does =
    decided === 'set-metadata' && dir && typeof existing !== 'string'
      ? updateMetadata(path, entry, { dir, links: existing.links }, work)
      : decided;
  if (does === 'failed') return;
  if (does === undefined) {
    const reason = typeof existing === 'string' ? existing : 'a folder stands in its place';
    report.failure(typeof existing === 'string' ? 'not-restored' : 'in-the-way', path, reason);
    return;
  }
  report.acts({ path, kind: 'l', does, bytes: 0, requests: 0 });
  if (dryRun || !dir) return;
  const errno = does === 'create' || does === 'replace' ? make(path, entry, dir, work) : undefined;
  if (errno === undefined) {
    const made = entry.id === undefined ? undefined : dir.stat(baseOf(path));
    // What `never` kept may be anything: other names must not become links to that.
    if (typeof made === 'object' && work.overwrite !== 'never')
      work.firsts.set(keyOf(entry), { path, inodeId: made.inodeId });
    return;
  }
  report.undone(does);
  work.stop.failedWith(errno);
  report.failure('not-restored', path, errno === 'EISDIR' ? 'a folder stands in its place' : errno);
}

function decide(
  path: BytePath,
  entry: SymlinkEntry,
  dir: SafeDir | undefined,
  existing: FileStat | string,
  overwrite: Overwrite,
): PathAction['does'] | undefined {
  if (typeof existing === 'string') return existing === 'ENOENT' ? 'create' : undefined;
  if (overwrite === 'never') return 'keep';
  if (existing.kind === 'directory') return undefined;
  if (overwrite === 'always' || existing.kind !== 'symlink') return 'replace';
  const pointsTo = dir?.readLink(baseOf(path));
  const isSame = typeof pointsTo === 'object' && pointsTo.target === linkTarget(entry);
  return isSame ? 'set-metadata' : 'replace';
}

/** Makes a further name of a symlink that was restored already. False where it is the first, or cannot be linked. */
function linkToFirst(
  path: BytePath,
  entry: SymlinkEntry,
  dir: SafeDir,
  { tree, firsts, report }: SymlinkWork,
): boolean {
  const first = entry.id === undefined ? undefined : firsts.get(keyOf(entry));
  const folder = first && tree?.hold(parentOf(first.path));
  if (!first || !folder || 'errno' in folder) return false;
  try {
    const name = baseOf(first.path);
    const stat = folder.dir.stat(name);
    if (typeof stat === 'string' || stat.inodeId !== first.inodeId) return false;
    const existing = dir.stat(baseOf(path));
    if (typeof existing !== 'string' && existing.inodeId === first.inodeId) {
      report.acts({ path, kind: 'l', does: 'keep', bytes: 0, requests: 0 });
      return true;
    }
    if (folder.dir.replaceByHardLink(name, dir, baseOf(path)) !== undefined) return false;
    report.acts({ path, kind: 'l', does: 'link', bytes: 0, requests: 0 });
    return true;
  } finally {
    folder.release();
  }
}

function keyOf(entry: SymlinkEntry): string {
  return `${entry.id} ${linkTarget(entry)}`;
}

function make(path: BytePath, entry: SymlinkEntry, dir: SafeDir, work: SymlinkWork): string | undefined {
  const temporary = dir.makeTemporaryLink(linkTarget(entry));
  if (typeof temporary === 'string') return temporary;
  const errno =
    setMetadata(path, entry, dir, temporary.name, work) ?? dir.rename(temporary.name, baseOf(path));
  if (errno !== undefined) dir.remove(temporary.name);
  return errno;
}

function setMetadata(
  path: BytePath,
  entry: SymlinkEntry,
  dir: SafeDir,
  name: BytePath,
  { metadata, report }: SymlinkWork,
): string | undefined {
  const handle = dir.handle(name);
  if (typeof handle === 'string') return handle;
  report.metadataNotSet(path, metadata.set(handle, entry));
  handle.close();
  return undefined;
}
