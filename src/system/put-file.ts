import { randomBytes } from 'node:crypto';
import { link, lstat, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../errors.js';

export interface PutFileOptions {
  path: string;
  content: string | Uint8Array;
  mode: number;
  /** Numbers; undefined: as the process. */
  owner: { uid: number; gid: number } | undefined;
  /** Beside which the file that is there is kept; undefined: it is not. */
  keepAs: string | undefined;
}

/** Takes back what {@link putFile} did, and forgets how. */
export interface PutFile {
  changed: boolean;
  undo(): Promise<void>;
  /** When all is well: removes what `undo` would need. */
  settle(): Promise<void>;
}

/**
 * Puts a whole file in place, or none: it is written beside its place and renamed, so that nobody ever reads half of
 * it. A link keeps its place: the file that it leads to is replaced.
 */
export async function putFile(options: PutFileOptions): Promise<PutFile> {
  const { content, mode, owner } = options;
  const path = await realpath(options.path).catch(() => options.path);
  if (await isAlready(path, options)) return { changed: false, undo: nothing, settle: nothing };
  const temporary = join(dirname(path), `.s3-sysbackup-${randomBytes(6).toString('hex')}`);
  const before = `${temporary}.before`;
  let hadOne = false;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    hadOne = await linked(path, before);
    if (hadOne && options.keepAs !== undefined) await link(path, options.keepAs);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    await rm(before, { force: true });
    throw error;
  }
  return {
    changed: true,
    undo: async () => {
      if (hadOne) await rename(before, path);
      else await rm(path, { force: true });
      if (options.keepAs !== undefined) await rm(options.keepAs, { force: true });
    },
    settle: async () => {
      await rm(before, { force: true });
    },
  };
}

async function nothing(): Promise<void> {}

async function linked(path: string, to: string): Promise<boolean> {
  try {
    await link(path, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function isAlready(path: string, { content, mode, owner }: PutFileOptions): Promise<boolean> {
  try {
    const found = await lstat(path);
    if (!found.isFile() || (found.mode & 0o7777) !== mode) return false;
    if (owner !== undefined && (found.uid !== owner.uid || found.gid !== owner.gid)) return false;
    return (await readFile(path)).equals(Buffer.from(content));
  } catch {
    return false;
  }
}
