import { createHash } from 'node:crypto';
import type { ListedVersion } from '../store/port.js';
import { compactTime, type ManifestKey } from './keys.js';

const KEY = /^manifests\/([^/]+)\.json$/;

/** Whether manifests of the older format stand under this key: each version of it is a run. */
export function isOlderManifest(key: string): boolean {
  return KEY.test(key);
}

/** The key under which all runs of a backup name stand in the older format. */
export function olderManifestKey(backup: string): string {
  return `manifests/${backup}.json`;
}

/**
 * The run that a version of a manifest's key in the older format is. Its id has the form of format 2: when the store
 * received it, and eight hex digits of the SHA-256 of key, space and version id. It is the same whenever and wherever
 * the bucket is listed. Neither outcome nor machine are known; what is known to be missing makes the run partial only
 * when it is read.
 */
export function olderRun(
  listed: Pick<ListedVersion, 'key' | 'version' | 'received'>,
): ManifestKey | undefined {
  const backup = KEY.exec(listed.key)?.[1];
  if (backup === undefined) return undefined;
  const mark = createHash('sha256').update(`${listed.key} ${listed.version}`).digest('hex').slice(0, 8);
  const seconds = Math.floor(listed.received / 1000) * 1000;
  return { backup, run: `${compactTime(seconds)}-${mark}`, outcome: 'complete', time: seconds, machine: '' };
}
