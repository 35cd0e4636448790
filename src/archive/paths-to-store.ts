import type { BytePath } from '../files/byte-path.js';
import type { FileStat } from '../files/stat.js';
import type { WhyMade } from './join.js';
import type { ArchiveOptions, PathToStore } from './options.js';

/** Collects what a dry run would store, for a listener. */
export class PathsToStore {
  readonly #listener: ArchiveOptions['onPaths'];
  #paths: PathToStore[] = [];

  constructor(listener: ArchiveOptions['onPaths']) {
    this.#listener = listener;
  }

  add(path: BytePath, stat: FileStat, change: WhyMade): void {
    if (this.#listener === undefined) return;
    const kind = stat.kind === 'directory' ? 'd' : stat.kind === 'symlink' ? 'l' : 'f';
    this.#paths.push({ path, kind, change, bytes: kind === 'f' ? stat.size : 0 });
  }

  /** Tells what has been collected; resolves when more can be taken. */
  async tell(): Promise<void> {
    if (this.#paths.length > 0) await this.#listener?.(this.#paths.splice(0));
  }
}
