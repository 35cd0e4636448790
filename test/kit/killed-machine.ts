import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readManifest } from '#src/manifest/reader.js';
import { openDirectoryStore } from '#src/store/directory.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { noise } from './awkward-contents.js';
import { type Ended, eventsIn, runProgram, summaryIn } from './built-program.js';
import { ConfFolder } from './conf-folder.js';
import { killedAt, type Moment } from './killed-at.js';

const BLOCK = 16 * 1024;

/** Where a machine's backups go. */
export interface KilledDestination {
  /** The conf's section; default: a directory store. */
  section?: string;
  env?: Readonly<Record<string, string>>;
  /** Whether what a listing shows may be used. */
  share: 'yes' | 'no';
  /** Bytes; smaller files go into bundles. Default 0: none. */
  bundleBelow?: number;
  openStore?: () => Promise<ObjectStore>;
}

const PHASES = 5;
/** The last phase, in which the manifest goes out and the catalog is replaced, does more than this. */
const LAST_OPERATIONS = 16;

/**
 * Moments all over a run: at each phase's beginning, after its objects, in between, and step by step where the manifest
 * goes out. `stored`: how many objects a run over changed files stores at the least.
 */
export function moments(count: number, stored: number): Moment[] {
  const all: Moment[] = [];
  for (let phase = 1; phase <= PHASES; phase++)
    for (const operations of [0, 1, 3, 6]) all.push({ type: 'phase', count: phase, operations });
  for (let operations = 7; operations <= LAST_OPERATIONS; operations++)
    all.push({ type: 'phase', count: PHASES, operations });
  for (let object = 1; object <= stored; object++)
    for (const operations of [0, 2, 5]) all.push({ type: 'stored', count: object, operations });
  // Early and late ones in turn, so that each meets what different ones have left.
  return Array.from({ length: count }, (_, index) => {
    const at = Math.floor((index * all.length) / count);
    const moment = all[(at * 7) % all.length];
    if (moment === undefined) throw new Error('there is always one');
    return moment;
  });
}

/** A machine whose backups are killed now and then, and what is known of what they stored. */
export class KilledMachine {
  readonly backup = ConfFolder.make();
  readonly tree = this.backup.at('tree');
  readonly confirmed = new Set<string>();
  readonly #destination: KilledDestination;
  #round = 0;

  /** For the test under way. */
  constructor(destination: KilledDestination) {
    this.#destination = destination;
    mkdirSync(this.tree);
    for (let index = 0; index < 10; index++)
      writeFileSync(join(this.tree, `file ${index}`), noise(300, `${index}`));
    const { section, share, bundleBelow = 0 } = destination;
    this.backup.conf(
      section,
      `[content]\nblock_size = ${BLOCK}\nshare = ${share}\nbundle_below = ${bundleBelow}\n`,
    );
    this.backup.picker('tree', `find '${this.tree}' -print0`);
    this.backup.snapshotter('dump', 'date +%N >&$1');
  }

  /** New files, a changed one, and one fewer. */
  change(): void {
    const round = this.#round++;
    const folder = join(this.tree, `round ${round}`);
    mkdirSync(folder);
    for (let index = 0; index < 8; index++)
      writeFileSync(join(folder, `${index}`), noise(2000, `${round} ${index}`));
    writeFileSync(join(folder, 'long'), noise(BLOCK * 3 + 1, `long ${round}`));
    writeFileSync(join(this.tree, 'file 0'), noise(300, `changed ${round}`));
    rmSync(join(this.tree, `round ${round - 3}`), { recursive: true, force: true });
  }

  /** One run, killed or to its end; what it says to have stored must be new. */
  async run(moment?: Moment): Promise<void> {
    const ended = await this.command(['archive', '--log-level', 'debug'], moment && killedAt(moment));
    const stored = eventsIn(wholeLines(ended.stdout), 'stored').map(({ key }) => String(key));
    const again = stored.filter((key) => this.confirmed.has(key));
    expect(again, 'sent again although its PUT was confirmed').toEqual([]);
    for (const key of stored) if (/^(?:content|bundles)\//.test(key)) this.confirmed.add(key);
    if (moment) {
      expect(ended.signal, `not killed at ${JSON.stringify(moment)}: ${ended.stdout}`).toBe('SIGKILL');
      expect(eventsIn(wholeLines(ended.stdout), moment.type).length).toBeGreaterThanOrEqual(moment.count);
      return;
    }
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(summaryIn(ended.stdout)).toMatchObject({ outcome: 'complete', counts: { s: 1 } });
  }

  command(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const env = { ...this.#destination.env, ...more };
    return runProgram([...args, '--conf-dir', this.backup.confDir, '--json'], { env });
  }

  /** What was confirmed is there, in one version each, and every manifest can be read to its end. */
  async checkStore(): Promise<void> {
    const { openStore = () => openDirectoryStore({ path: this.backup.store, create: false }) } =
      this.#destination;
    const store = await openStore();
    const versions = new Map<string, number>();
    for await (const { key, version } of listAll(store, { prefix: '' })) {
      versions.set(key, (versions.get(key) ?? 0) + 1);
      if (!key.startsWith('manifests/')) continue;
      let last = '';
      for await (const lines of readManifest(store, key, version)) last = lines.at(-1)?.typ ?? last;
      expect(last).toBe('end');
    }
    for (const key of this.confirmed) expect(versions.get(key), key).toBe(1);
    expect([...versions.values()].every((count) => count === 1)).toBe(true);
    await store.close();
  }
}

/** SHA-256 of contents that stand in more than one of these bundles of a directory store. */
export function bundledTwice(store: string, keys: Iterable<string>): string[] {
  const seen = new Set<string>();
  const twice: string[] = [];
  for (const key of keys) {
    if (!key.startsWith('bundles/')) continue;
    const members = execFileSync('tar', ['tf', join(store, key)], { encoding: 'utf8' })
      .trimEnd()
      .split('\n');
    for (const sha of members.map((member) => member.replace('.gz', '')))
      if (seen.has(sha)) twice.push(sha);
      else seen.add(sha);
  }
  return twice;
}

/** A killed process may leave half a line. */
function wholeLines(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1);
}
