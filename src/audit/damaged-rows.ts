import { SysbackupError, throwIfAborted } from '../errors.js';
import { fetchManifest } from '../manifest/fetch.js';
import type { StoredRun } from '../manifest/runs.js';
import type { Retention } from '../store/port.js';
import { DAMAGED, FOUND, type Findings, FINDINGS_KEPT, HIDDEN, NEEDS_COMPLIANCE } from './findings.js';
import type { Mended, Mender } from './mender.js';
import type { VerifyOptions } from './verify-options.js';
import type { VersionTable } from './version-table.js';

export interface DamagedRowsOptions {
  options: VerifyOptions;
  table: VersionTable;
  findings: Findings;
  /** Undefined: nothing is changed. */
  mender: Mender | undefined;
}

/** Looks closer at what a verification found wrong in a directory, and has it mended where that was asked for. */
export class DamagedRows {
  readonly #options: VerifyOptions;
  readonly #table: VersionTable;
  readonly #findings: Findings;
  readonly #mender: Mender | undefined;

  constructor({ options, table, findings, mender }: DamagedRowsOptions) {
    this.#options = options;
    this.#table = table;
    this.#findings = findings;
    this.#mender = mender;
  }

  get mended(): Mended {
    return this.#mender?.mended ?? { setAside: 0, noted: 0, sidecars: 0 };
  }

  /** Of what no listing shows some may be there without a readable sidecar, and may get it back. */
  async lookAtHidden(): Promise<void> {
    const { run, backup, signal } = this.#options;
    // Only all runs together tell how long a version must be locked.
    const mender = run === undefined && backup === undefined ? this.#mender : undefined;
    const table = this.#table;
    const most = mender === undefined ? FINDINGS_KEPT : table.count;
    let looked = 0;
    for (let row = 0; row < table.count && looked < most; row++) {
      if (((table.flags[row] ?? 0) & FOUND) !== 0) continue;
      throwIfAborted(signal);
      looked++;
      if (mender !== undefined && (await this.#showAgain(row, mender))) this.#flag(row, FOUND);
      else if (await this.#isReadable(row)) this.#flag(row, HIDDEN);
    }
  }

  async #showAgain(row: number, mender: Mender): Promise<boolean> {
    const table = this.#table;
    const enc = table.encoding(row);
    const known = enc === 'metadata' ? undefined : enc;
    return await mender.showAgain(table.key(row), table.version(row), this.#promised(row), known);
  }

  /** The longest lock that any run promises of a version. */
  #promised(row: number): Retention | undefined {
    const until = this.#table.needed[row] ?? 0;
    if (until === 0) return undefined;
    const inCompliance = ((this.#table.flags[row] ?? 0) & NEEDS_COMPLIANCE) !== 0;
    return { mode: inCompliance ? 'COMPLIANCE' : 'GOVERNANCE', until };
  }

  async #isReadable(row: number): Promise<boolean> {
    try {
      (await this.#options.store.get(this.#table.key(row), this.#table.version(row))).destroy();
      return true;
    } catch (error) {
      if (error instanceof SysbackupError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  /** What is damaged is looked at once more, and set aside where it still is; what is missing is noted there. */
  async setAside(): Promise<void> {
    const table = this.#table;
    for (let row = 0; this.#mender !== undefined && row < table.count; row++) {
      const flags = table.flags[row] ?? 0;
      const isMissing = (flags & (FOUND | HIDDEN)) === 0;
      if (!isMissing && (flags & (FOUND | DAMAGED)) !== (FOUND | DAMAGED)) continue;
      throwIfAborted(this.#options.signal);
      const [key, version] = [table.key(row), table.version(row)];
      const done = await (isMissing
        ? this.#mender.noteMissing(key, version)
        : this.#mender.setAside(key, version));
      if (done !== undefined) this.#findings.note(row, done);
    }
  }

  /** Only of a run that was named: without its manifest it is gone. Returns what was done. */
  async setManifestAside({ key, version }: StoredRun): Promise<string | undefined> {
    const { store, setAside, spoolFolder, signal } = this.#options;
    if (setAside?.manifest !== true) return undefined;
    return await this.#mender?.setAside(key, version, async () => {
      try {
        await (await fetchManifest(store, { key, version }, spoolFolder, { signal })).remove();
        return false;
      } catch (error) {
        if (error instanceof SysbackupError && error.code === 'DAMAGED') return true;
        throw error;
      }
    });
  }

  #flag(row: number, flag: number): void {
    this.#table.flags[row] = (this.#table.flags[row] ?? 0) | flag;
  }
}
