import { createHash, randomInt } from 'node:crypto';
import type { RunOutcome } from '../events.js';

/** Keys of the objects a run writes, and what they say. `docs/format.md`, "Keys". */

/** Where all manifests are. */
export const MANIFESTS = 'manifests/';

export function contentKey(shaHex: string): string {
  return `content/${shaHex}`;
}

export function bundleKey(shaHex: string): string {
  return `bundles/${shaHex}.tar`;
}

export function manifestPrefix(backupName: string): string {
  return `${MANIFESTS}${backupName}/`;
}

export function manifestKey(backupName: string, run: string, outcome: RunOutcome): string {
  return `${manifestPrefix(backupName)}${run}.${outcome}.jsonl.gz`;
}

export function snapshotKey(backupName: string, run: string, name: string): string {
  return `snapshots/${backupName}/${run}-${name}`;
}

/** What messages call one version of an object. */
export function versionName(key: string, version: string): string {
  return `${key} (version ${version})`;
}

/** `YYYYMMDDTHHMMSSZ` of a time in milliseconds. */
export function compactTime(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/**
 * A new run's id: its start by the store's clock, then eight hex digits. The first four come from the machine id,
 * so that a listing alone shows when two machines write under one backup name; the rest is random.
 *
 * @param last the id of this machine's last run: a run that begins in the same second still sorts behind it
 */
export function newRunId(startMs: number, machineId: string, last?: string): string {
  const begins = `${compactTime(startMs)}-${machineMark(machineId)}`;
  const next =
    last?.startsWith(begins) === true ? Number.parseInt(last.slice(begins.length), 16) + 1 : undefined;
  if (next !== undefined && next > LAST_SUFFIX) return newRunId(startMs + 1000, machineId);
  return `${begins}${(next ?? randomInt(LAST_SUFFIX + 1)).toString(16).padStart(4, '0')}`;
}

const LAST_SUFFIX = 0xffff;

/** The four digits that a machine's run ids carry. */
export function machineMark(machineId: string): string {
  return createHash('sha256').update(machineId).digest('hex').slice(0, 4);
}

export interface ManifestKey {
  backup: string;
  run: string;
  outcome: RunOutcome;
  /** The run's start, which its id names: milliseconds since the epoch. */
  time: number;
  /** The part of the run id that comes from the machine id. */
  machine: string;
}

const KEY = /^manifests\/([^/]+)\/([^/]+)\.(complete|partial|broken)\.jsonl\.gz$/;
const RUN_ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([0-9a-f]{4})[0-9a-f]{4}$/;

/** What a manifest's key says; undefined where it is no key of a manifest in format 2. */
export function parseManifestKey(key: string): ManifestKey | undefined {
  const [, backup = '', run = '', outcome = ''] = KEY.exec(key) ?? [];
  const id = parseRunId(run);
  if (!id || !isOutcome(outcome)) return undefined;
  return { backup, run, outcome, ...id };
}

/** Time and machine of a run id; undefined where the text is none. */
export function parseRunId(text: string): { time: number; machine: string } | undefined {
  const [, year, month, day, hour, minute, second, machine] = RUN_ID.exec(text) ?? [];
  if (machine === undefined) return undefined;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = Date.parse(iso);
  // Date.parse takes the 31st of a month with 30 days for the next month's first.
  if (Number.isNaN(time) || new Date(time).toISOString() !== iso) return undefined;
  return { time, machine };
}

function isOutcome(text: string): text is RunOutcome {
  return text === 'complete' || text === 'partial' || text === 'broken';
}
