import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { machineMark, manifestKey, newRunId } from '#src/manifest/keys.js';
import type { FileEntry, ManifestHeader, ManifestLine } from '#src/manifest/types.js';
import type { MemoryStore } from '#src/store/memory.js';

/** Who has taken over a machine's right to back up: adds what he likes, and can delete, read and shorten nothing. */
export class Thief {
  readonly #memory: MemoryStore;
  readonly #now: () => number;
  /** The machine id in his run ids and headers: that of the machine he took over, or another. */
  machine: string;
  backup = 'test-backup';
  /** Added to the time in his run ids. */
  dateAhead = 0;
  retention: ManifestHeader['retention'] = { mode: 'GOVERNANCE', until: '2100-01-01T00:00:00Z' };
  /** The lock of his manifests. */
  lockDays = 14;

  constructor(memory: MemoryStore, now: () => number, machine: string) {
    this.#memory = memory;
    this.#now = now;
    this.machine = machine;
  }

  get mark(): string {
    return machineMark(this.machine);
  }

  /** A manifest of these entries, valid as far as its own form goes. Returns its run id. */
  storeManifest(entries: readonly ManifestLine[]): string {
    const run = newRunId(this.#now() + this.dateAhead, this.machine);
    const header: ManifestLine = {
      typ: 'manifest',
      format: 2,
      backup: this.backup,
      run,
      host: 'thief',
      machine: this.machine,
      start: new Date(this.#now()).toISOString(),
      tool: 'thief',
      retention: this.retention,
    };
    const text = [header, ...entries].map((line) => `${JSON.stringify(line)}\n`).join('');
    const files = entries.filter((line) => line.typ === 'f');
    const footer: ManifestLine = {
      typ: 'end',
      outcome: 'complete',
      counts: { d: entries.length - files.length, l: 0, f: files.length, s: 0, problems: 0 },
      bytes: files.reduce((sum, { size = 0 }) => sum + size, 0),
      stored: { objects: 0, bytes: 0 },
      requests: {},
      sha256: createHash('sha256').update(text).digest('hex'),
    };
    this.storeBytes(Buffer.concat([gzipSync(text), gzipSync(`${JSON.stringify(footer)}\n`)]), run);
    return run;
  }

  /** Anything under the key of a manifest. */
  storeBytes(bytes: Uint8Array, run = newRunId(this.#now() + this.dateAhead, this.machine)): string {
    const until = Math.ceil(this.#now() / 1000) + this.lockDays * 86_400;
    this.#memory.putForeign({
      key: manifestKey(this.backup, run, 'complete'),
      bytes,
      retention: { mode: 'GOVERNANCE', until },
    });
    return run;
  }

  /** A file that names a version, which may or may not exist. */
  file(path: string, dat: FileEntry['dat'], sha: string, size = 1): FileEntry {
    const owner = { o: 'root', g: 'root', uid: 0, gid: 0 };
    return { typ: 'f', path, ...owner, mode: 0o644, mt: '1700000000.000000000', dat, sha, size };
  }

  /** Files with contents that nobody ever stored. */
  inventedFiles(count: number): FileEntry[] {
    return Array.from({ length: count }, (_, index) => {
      const sha = createHash('sha256').update(`invented ${index}`).digest('hex');
      const path = `/invented/${String(index).padStart(9, '0')}`;
      return this.file(path, { key: `content/${sha}`, ver: 'none' }, sha);
    });
  }

  /** Files with contents that he really stores, a byte each. */
  storedFiles(count: number): FileEntry[] {
    const until = Math.ceil(this.#now() / 1000) + this.lockDays * 86_400;
    return Array.from({ length: count }, (_, index) => {
      const bytes = Buffer.from([index & 255, index >> 8]);
      const sha = createHash('sha256').update(bytes).digest('hex');
      const key = `content/${sha}`;
      const { version } = this.#memory.putForeign({ key, bytes, retention: { mode: 'GOVERNANCE', until } });
      return this.file(`/stored/${String(index).padStart(9, '0')}`, { key, ver: version }, sha, 2);
    });
  }
}
