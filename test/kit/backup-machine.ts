import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchiveOptions, RunSummary } from '#src/archive/options.js';
import { archive } from '#src/archive/run.js';
import type { Settings } from '#src/config/settings.js';
import type { Problem, RequestKind, SysbackupEvent } from '#src/events.js';
import { readManifest } from '#src/manifest/reader.js';
import type { FileSystemEntry, ManifestLine } from '#src/manifest/types.js';
import { MemoryStore } from '#src/store/memory.js';
import type { ObjectStore } from '#src/store/port.js';
import { temporaryFolder } from './temporary.js';

/** What was asked of a store, in order. */
export interface Asked {
  kind: RequestKind;
  key: string;
}

/** The store, and a list of what it is asked. */
export function recorded(store: ObjectStore): { store: ObjectStore; asked: Asked[] } {
  const asked: Asked[] = [];
  const note = (kind: RequestKind, key: string) => asked.push({ kind, key });
  return {
    asked,
    store: {
      description: store.description,
      identity: store.identity,
      damage: store.damage,
      get etags() {
        return store.etags;
      },
      put: (request) => (note('put', request.key), store.put(request)),
      get: (key, version, range) => (note('get', key), store.get(key, version, range)),
      head: (key, version) => (note('head', key), store.head(key, version)),
      list: (request) => (note('list', request.prefix), store.list(request)),
      getRetention: (key, version) => (note('get-retention', key), store.getRetention(key, version)),
      extendRetention: (key, version, retention) => (
        note('put-retention', key), store.extendRetention(key, version, retention)
      ),
      capabilities: () => (note('get-bucket-configuration', ''), store.capabilities()),
      now: (prefix) => store.now(prefix),
      close: () => store.close(),
    },
  };
}

export interface RunResult {
  summary: RunSummary;
  asked: Asked[];
  events: SysbackupEvent[];
  problems: Problem[];
  warnings: string[];
}

/** A machine with a tree to back up, a conf, a state directory and a store in memory with a clock to set. */
export class BackupMachine {
  readonly folder = temporaryFolder();
  readonly tree = join(this.folder, 'tree');
  readonly confDir = join(this.folder, 'conf');
  readonly statePath = join(this.folder, 'state');
  /** The store's time in milliseconds. */
  now = Date.now();
  readonly memory = new MemoryStore({ now: () => this.now });
  store: ObjectStore = this.memory;
  settings: Settings = {
    confDir: this.confDir,
    backupName: 'test-backup',
    destination: { kind: 'directory', path: '/nowhere' },
    content: {
      lockTimeout: 0,
      daysRetained: 14,
      mode: 'GOVERNANCE',
      share: true,
      bundleBelow: 0,
      blockSize: 64 * 1024,
      compression: 'gzip',
      compressionLevel: 6,
      gzipLibrary: 'auto',
    },
    classes: {},
    programs: { timeout: undefined, allowEmpty: [] },
    statePath: this.statePath,
  };

  constructor() {
    mkdirSync(this.tree);
    mkdirSync(join(this.confDir, 'pickers.d'), { recursive: true });
    mkdirSync(join(this.confDir, 'snapshots.d'));
    this.picker('tree', `find '${this.tree}' -print0`);
  }

  picker(name: string, script: string): void {
    this.#script(join('pickers.d', name), script);
  }

  snapshotter(name: string, script: string): void {
    this.#script(join('snapshots.d', name), script);
  }

  write(path: string, content: string | Uint8Array): string {
    const full = join(this.tree, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, content);
    return full;
  }

  async archive(options: Partial<ArchiveOptions> = {}): Promise<RunResult> {
    const { store, asked } = recorded(options.store ?? this.store);
    const events: SysbackupEvent[] = [];
    const summary = await archive({
      settings: this.settings,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      uid: 1000,
      host: 'test',
      tool: 'test',
      workers: 0,
      onEvent: (event) => events.push(event),
      ...options,
      store,
    });
    const problems = events.flatMap((event) => (event.type === 'problem' ? [event.problem] : []));
    const warnings = events.flatMap((event) =>
      event.type === 'log' && event.level === 'warning' ? [event.message] : [],
    );
    return { summary, asked, events, problems, warnings };
  }

  /** All lines of a run's manifest, checked. */
  async lines(summary: RunSummary): Promise<ManifestLine[]> {
    const { key, version } = summary.manifest ?? { key: '', version: '' };
    const lines: ManifestLine[] = [];
    for await (const batch of readManifest(this.store, key, version)) lines.push(...batch);
    return lines;
  }

  /** The entries below the tree, by their path in it. */
  async entries(summary: RunSummary): Promise<Map<string, FileSystemEntry>> {
    const entries = new Map<string, FileSystemEntry>();
    for (const line of await this.lines(summary)) {
      if (line.typ !== 'd' && line.typ !== 'l' && line.typ !== 'f') continue;
      if (line.path?.startsWith(`${this.tree}/`)) entries.set(line.path.slice(this.tree.length + 1), line);
    }
    return entries;
  }

  #script(path: string, script: string): void {
    const full = join(this.confDir, path);
    writeFileSync(full, `#!/bin/sh\n${script}\n`);
    chmodSync(full, 0o755);
  }
}

/** Waits until a change made now is older than the clock's granularity. */
export async function pastTheTick(): Promise<void> {
  const from = Date.now();
  while (Date.now() < from + 25) await new Promise((resolve) => setImmediate(resolve));
}
