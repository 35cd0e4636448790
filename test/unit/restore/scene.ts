import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { SysbackupEvent } from '#src/events.js';
import type { FileEntry, ManifestLine, ObjectRef } from '#src/manifest/types.js';
import type { PathAction, RestoreOptions, RestoreSummary } from '#src/restore/options.js';
import { restore } from '#src/restore/restore.js';
import { file, KEY, manifestOf, sha256 } from '../manifest/build-manifest.js';
import { FakeStore } from '../manifest/fake-store.js';
import { LocalStore } from './local-store.js';

export const asRoot = process.geteuid?.() === 0;

/** A folder with a place for a target and something outside of it, and a store to restore from. */
export class Scene {
  /** Threads that write, in all restores; undefined: what the program itself would take. */
  static writers: number | undefined;
  /** Whether threads can read the store. */
  static isLocal = false;
  readonly folder: string;
  readonly target: string;
  readonly spool: string;
  /** A folder beside the target that nothing may change. */
  readonly outside: string;
  readonly store: FakeStore;
  readonly events: SysbackupEvent[] = [];
  readonly actions: PathAction[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.target = join(folder, 'target');
    this.spool = join(folder, 'spool');
    this.outside = join(folder, 'outside');
    this.store = Scene.isLocal ? new LocalStore(join(folder, 'store')) : new FakeStore();
  }

  static async make(): Promise<Scene> {
    const scene = new Scene(await mkdtemp(join(tmpdir(), 'restore-test-')));
    for (const folder of [scene.spool, scene.outside]) await mkdir(folder);
    return scene;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Stores a content and gives where it is. */
  object(content: string | Buffer, enc?: 'gzip'): ObjectRef {
    const bytes = Buffer.from(content);
    const key = `content/${sha256(bytes)}`;
    const ver = this.store.add(key, enc ? gzipSync(bytes) : bytes);
    return enc ? { key, ver, enc } : { key, ver };
  }

  /** A file whose content is in the store. */
  file(path: string, content: string | Buffer, more: Partial<FileEntry> = {}): FileEntry {
    const dat = content.length === 0 ? null : this.object(content);
    return file(path, content, { dat, ...more });
  }

  async restore(
    lines: readonly ManifestLine[],
    options: Partial<RestoreOptions> = {},
  ): Promise<RestoreSummary> {
    const version = this.store.add(KEY, manifestOf(lines));
    return restore({
      store: this.store,
      run: { key: KEY, version },
      target: this.target,
      spoolFolder: this.spool,
      onEvent: (event) => this.events.push(event),
      onPath: (action) => this.actions.push(action),
      numericOwners: true,
      writers: Scene.writers,
      ...options,
    });
  }

  /** What was done with which path. */
  deeds(): Record<string, PathAction['does']> {
    return Object.fromEntries(this.actions.map(({ path, does }) => [path, does]));
  }
}

/** The entries that a manifest has whoever may set them: owned by who runs the tests. */
export const own = {
  o: process.geteuid?.() ?? 0,
  g: process.getegid?.() ?? 0,
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
};
