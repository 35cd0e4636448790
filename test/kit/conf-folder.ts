import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * A folder with a conf, pickers, snapshotters, a store and a state directory, which goes when the test ends. It is
 * removed by `rm`: trees with paths longer than PATH_MAX come to stand in it, which Node cannot remove.
 */
export class ConfFolder {
  readonly folder: string;
  readonly confDir: string;
  /** The directory store, unless the conf says otherwise. */
  readonly store: string;
  readonly state: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.confDir = join(folder, 'conf');
    this.store = join(folder, 'store');
    this.state = join(folder, 'state');
    for (const name of ['pickers.d', 'snapshots.d'])
      mkdirSync(join(this.confDir, name), { recursive: true, mode: 0o755 });
  }

  /** For the test under way. `parent`: on which file system. */
  static make(parent = tmpdir()): ConfFolder {
    const folder = mkdtempSync(join(parent, 'sysbackup-'));
    onTestFinished(() => {
      execFileSync('rm', ['-rf', folder]);
    });
    chmodSync(folder, 0o755);
    return new ConfFolder(folder);
  }

  /** Writes the conf; `destination` replaces the directory store. */
  conf(destination = `[directory]\npath = ${this.store}\n`, more = ''): void {
    writeFileSync(join(this.confDir, 'conf'), `${destination}[state]\npath = ${this.state}\n${more}`);
  }

  picker(name: string, script: string): void {
    this.#script('pickers.d', name, script);
  }

  snapshotter(name: string, script: string): void {
    this.#script('snapshots.d', name, script);
  }

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  #script(folder: string, name: string, script: string): void {
    const path = join(this.confDir, folder, name);
    writeFileSync(path, script.startsWith('#!') ? script : `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
}
