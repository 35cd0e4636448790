import type { ManifestLine } from '../manifest/types.js';
import { referencesOf } from './named-versions.js';
import type { VersionTable } from './version-table.js';

const OWN_KEYS = /^(?:content\/[0-9a-f]{64}|bundles\/[0-9a-f]{64}\.tar)$/;
/** Bytes of a member with its header at least, in a compressed tar. */
const SHORTEST_MEMBER = 128;
/** Of so many bytes, in a bundle of 32 MiB and one member more. */
const PLACES_IN_BUNDLE = 2 ** 19;

/** What some lines of a run name for the first time. */
export interface NewContents {
  /** Rows of versions in the table. */
  versions: number[];
  /** For each content the rows of the versions that hold it. */
  contents: number[][];
}

/** The different contents that one run names while its lines are gone through: what a run's weight is made of. */
export class DistinctContents {
  /** References to versions that the run has no business to name. */
  foreign = 0;
  readonly #table: VersionTable;
  readonly #serial: number;
  readonly #snapshots: string;
  readonly #members = new Set<number>();

  /** @param serial another one, from 1 on, for each run that the table is used for */
  constructor(backup: string, table: VersionTable, serial: number) {
    this.#table = table;
    this.#serial = serial;
    this.#snapshots = `snapshots/${backup}/`;
  }

  take(lines: readonly ManifestLine[]): NewContents {
    const table = this.#table;
    const versions: number[] = [];
    const contents: number[][] = [];
    for (const line of lines) {
      const rows: number[] = [];
      let isNew: boolean | undefined;
      for (const { version, off } of referencesOf(line)) {
        if (!this.#mayName(version.key)) {
          this.foreign += 1;
          isNew = false;
          continue;
        }
        // How its bytes are encoded and what they hash to make no other version of it.
        const row = table.add({ key: version.key, ver: version.ver });
        const first = table.set[row] !== this.#serial;
        isNew ??= off === undefined ? first : this.#isNewMember(row, off);
        rows.push(row);
        if (!first) continue;
        table.set[row] = this.#serial;
        versions.push(row);
      }
      if (isNew === true) contents.push(rows);
    }
    return { versions, contents };
  }

  /** Each place in a bundle weighs once, and two are further apart than a member with its header can be long. */
  #isNewMember(row: number, off: number): boolean {
    const place = row * PLACES_IN_BUNDLE + Math.floor(off / SHORTEST_MEMBER);
    if (off / SHORTEST_MEMBER >= PLACES_IN_BUNDLE || this.#members.has(place)) return false;
    this.#members.add(place);
    return true;
  }

  /** A run has no business with another backup's snapshots, and with no manifest at all. */
  #mayName(key: string): boolean {
    return OWN_KEYS.test(key) || key.startsWith(this.#snapshots);
  }
}
