import type { Problem } from '../events.js';
import { type BytePath, displayPath, parentOf } from '../files/byte-path.js';
import { shellWord } from '../shell-word.js';

/**
 * Overlay whiteouts, by the picker that printed them. A format without devices cannot hold them, and without them what
 * was deleted comes back with a restore: so for each picker they are a failure, beside the note that each of them is.
 */
export class Whiteouts {
  readonly #byPicker = new Map<string, { count: number; first: BytePath }>();

  add(path: BytePath, picker: string): void {
    const known = this.#byPicker.get(picker);
    if (known === undefined) this.#byPicker.set(picker, { count: 1, first: path });
    else known.count++;
  }

  /** One failure for each picker. */
  failures(): Problem[] {
    return [...this.#byPicker].map(([picker, { count, first }]) => {
      const shown = displayPath(first);
      const which =
        count === 1 ? `an overlay whiteout, ${shown}` : `${count} overlay whiteouts, the first is ${shown}`;
      const message =
        `picker ${picker} printed ${which}: no run can hold these devices, ` +
        'and without them a restore shows files that were deleted. ' +
        `Leave the layers out: find … -path ${shellWord(displayPath(layersOf(first)))} -prune -o …`;
      return { severity: 'failure', code: 'overlay-whiteouts', message, path: first, source: picker };
    });
  }
}

/** The directory that holds a container engine's layers (`overlay2`, `overlay`, …), else the whiteout's own. */
function layersOf(whiteout: BytePath): BytePath {
  const layers = /^.*?\/[^/]*overlay[^/]*(?=\/)/.exec(whiteout)?.[0];
  if (layers !== undefined) return layers as BytePath;
  const directory = parentOf(whiteout);
  return directory === '/' ? whiteout : directory;
}
