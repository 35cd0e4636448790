import { createHash, randomBytes } from 'node:crypto';
import type { RunOutcome } from '../events.js';

/** Keys of the objects a run writes. `docs/format.md`, "Keys". */

export function contentKey(shaHex: string): string {
  return `content/${shaHex}`;
}

export function manifestPrefix(backupName: string): string {
  return `manifests/${backupName}/`;
}

export function manifestKey(backupName: string, run: string, outcome: RunOutcome): string {
  return `${manifestPrefix(backupName)}${run}.${outcome}.jsonl.gz`;
}

export function snapshotKey(backupName: string, run: string, name: string): string {
  return `snapshots/${backupName}/${run}-${name}`;
}

/** `YYYYMMDDTHHMMSSZ` of a time in milliseconds. */
export function compactTime(ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/**
 * A new run's id: its start by the store's clock, then eight hex digits. The first four come from the machine id,
 * so that a listing alone shows when two machines write under one backup name; the rest is random.
 */
export function newRunId(startMs: number, machineId: string): string {
  return `${compactTime(startMs)}-${machineMark(machineId)}${randomBytes(2).toString('hex')}`;
}

/** The four digits that a machine's run ids carry. */
export function machineMark(machineId: string): string {
  return createHash('sha256').update(machineId).digest('hex').slice(0, 4);
}
