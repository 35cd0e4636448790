import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execFileSync } from 'node:child_process';

/** The folder that everything is made in, and that nothing is left in. */
export class Workspace {
  readonly #root: string;
  /** Trees that were generated: kept for the next call where the user names the folder and wants it. */
  readonly trees: string;
  /** What programs find as their home folder. */
  readonly home: string;
  readonly #scratch: string;
  readonly #isOurs: boolean;
  #count = 0;

  /** `keepTrees`: generated files stay in `work`, for calls that follow. */
  constructor(work: string | undefined, keepTrees: boolean) {
    this.#isOurs = work === undefined;
    this.#root = work === undefined ? mkdtempSync(join(tmpdir(), 'sysbackup-bench-')) : resolve(work);
    mkdirSync(this.#root, { recursive: true });
    // Of this call alone: several may run in one folder.
    this.#scratch = mkdtempSync(join(this.#root, 'run-'));
    this.trees = keepTrees ? join(this.#root, 'trees') : join(this.#scratch, 'trees');
    mkdirSync(this.trees, { recursive: true });
    this.home = this.folder('home');
  }

  /** A new empty folder. */
  folder(name: string): string {
    this.#count += 1;
    const path = join(this.#scratch, `${this.#count}-${name.replaceAll(/[^\w.-]+/g, '-')}`);
    mkdirSync(path);
    return path;
  }

  /** Removes a folder with all in it, faster than Node does. */
  remove(path: string): void {
    execFileSync('rm', ['-rf', path]);
  }

  /** A folder that the user named stays, empty but for trees that are kept. */
  clean(): void {
    this.remove(this.#isOurs ? this.#root : this.#scratch);
  }
}
