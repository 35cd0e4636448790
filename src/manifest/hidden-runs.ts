import { shellWord } from '../shell-word.js';
import type { HiddenData } from '../store/port.js';
import { type ManifestKey, parseManifestKey } from './keys.js';

/** A manifest that is there and that no listing shows, since its sidecar is missing or cannot be read. */
export interface HiddenRun extends ManifestKey {
  key: string;
  /** As the file's name has it; undefined where only its bytes tell. */
  version: string | undefined;
  /** One sentence: what is wrong. */
  message: string;
  /** The command that mends it. */
  wayOut: string;
}

/** Undefined for what is no manifest. */
export function hiddenRunOf({ key, version, sidecar, missing, root }: HiddenData): HiddenRun | undefined {
  const named = parseManifestKey(key);
  if (named === undefined) return undefined;
  const name = `${named.backup}/${named.run}`;
  const message = `the run ${name} is there, but its sidecar ${sidecar} ${missing ? 'is missing' : 'cannot be read'}, so that it cannot be used`;
  const wayOut = `s3-sysbackup verify --set-aside ${shellWord(name)} --directory ${shellWord(root)}`;
  return { ...named, key, version, message, wayOut };
}

/** What is wrong and what to do, for one line. */
export function hiddenRunLine({ message, wayOut }: HiddenRun): string {
  return `${message}. To mend it: ${wayOut}`;
}

/** Of so many each is named; the rest is counted. */
const NAMED = 10;

/** One line for each, for the first ones. */
export function hiddenRunLines(runs: readonly HiddenRun[]): string[] {
  const lines = runs.slice(0, NAMED).map(hiddenRunLine);
  const more = runs.length - lines.length;
  return more === 0
    ? lines
    : [...lines, `${more} more runs are there whose sidecars are missing or cannot be read`];
}
