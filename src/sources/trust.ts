import type { Stats } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { SysbackupError } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import { displayPath, joinPath, parentOf, pathForFs, pathFromBytes } from '../files/byte-path.js';
import { hasAccessAcl } from './native.js';

const MAX_LINKS = 40;

/**
 * Refuses what others than root can change before root runs it: a file or folder that root does not own, that
 * all may write, or that a group other than root's (or through an ACL anyone named there) may write. A sticky
 * folder is no better, for others may add to it. Folders above are not looked at: who owns `/etc/backup`
 * decides what is in it.
 */
export class RootTrust {
  readonly #checked = new Set<BytePath>();

  /** The folder itself; a link is followed. Throws CONFIG. */
  async checkFolder(folder: BytePath): Promise<void> {
    await this.#check(folder, 'folder');
  }

  /** The executable, and where it is a link the folder of each link's target and what it leads to. Throws CONFIG. */
  async checkExecutable(path: BytePath): Promise<void> {
    let hop = path;
    for (let links = 0; links < MAX_LINKS; links++) {
      let found: Stats;
      try {
        found = await lstat(pathForFs(hop));
      } catch {
        // A link that leads nowhere: starting it fails and says so.
        return;
      }
      if (!found.isSymbolicLink()) break;
      const target = pathFromBytes(await readlink(pathForFs(hop), { encoding: 'buffer' }));
      hop = target.startsWith('/') ? target : joinPath(parentOf(hop), target);
      await this.#check(parentOf(hop), 'folder');
    }
    await this.#check(hop, 'executable');
  }

  async #check(path: BytePath, what: 'folder' | 'executable'): Promise<void> {
    if (this.#checked.has(path)) return;
    this.#checked.add(path);
    let found: Stats;
    try {
      found = await stat(pathForFs(path));
    } catch {
      return;
    }
    const shown = displayPath(path);
    if (found.uid !== 0) {
      throw new SysbackupError('CONFIG', `root runs no ${what} that user ${found.uid} owns: ${shown}`, {
        hint: `chown root '${shown}', or run the backup as that user`,
      });
    }
    const byGroup = (found.mode & 0o020) !== 0 && (found.gid !== 0 || hasAccessAcl(path));
    if (byGroup || (found.mode & 0o002) !== 0) {
      const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
      throw new SysbackupError(
        'CONFIG',
        `root runs no ${what} that others may write: ${shown} (mode ${mode}, group ${found.gid})`,
        { hint: `chmod go-w '${shown}'` },
      );
    }
  }
}
