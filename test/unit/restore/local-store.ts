import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { primarySlot } from '#src/store/directory-layout.js';
import { formatSidecar } from '#src/store/directory-sidecar.js';
import { FakeStore } from '../manifest/fake-store.js';

/** The same as a directory store on a disk of this machine, where threads read by themselves. */
export class LocalStore extends FakeStore {
  readonly localRoot: string;
  /** What is replaced cannot be read there. */
  override readonly replaced = new Replacements((name) => {
    const [key = ''] = name.split('@');
    rmSync(primarySlot(this.localRoot, key).data, { force: true });
  });

  constructor(root: string) {
    super();
    this.localRoot = root;
  }

  override add(...args: Parameters<FakeStore['add']>): string {
    const [key, bytes] = args;
    const version = super.add(...args);
    if (!key.startsWith('content/') && !key.startsWith('bundles/')) return version;
    const { data, sidecar } = primarySlot(this.localRoot, key);
    for (const path of [data, sidecar]) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(data, bytes);
    const [size, received] = [bytes.length, 0];
    writeFileSync(sidecar, formatSidecar({ version, size, metadata: {}, retention: undefined, received }));
    return version;
  }

  protected override versionOf(count: number): string {
    return count.toString(16).padStart(32, '0');
  }
}

class Replacements extends Map<string, () => Readable> {
  readonly #onSet: (name: string) => void;

  constructor(onSet: (name: string) => void) {
    super();
    this.#onSet = onSet;
  }

  override set(name: string, value: () => Readable): this {
    this.#onSet(name);
    return super.set(name, value);
  }
}
