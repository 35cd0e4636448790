import type { EventListener } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import { pathOf } from '../manifest/paths.js';
import { type ManifestLine, WHITEOUT_CODE } from '../manifest/types.js';

/** Counts the overlay whiteouts below what is selected, which no run holds: without them deleted files show again. */
export class MissingWhiteouts {
  readonly #select: (path: BytePath) => boolean;
  #count = 0;
  #first: BytePath | undefined;

  constructor(select: (path: BytePath) => boolean) {
    this.#select = select;
  }

  take(line: ManifestLine): void {
    if (line.typ !== 'problem' || line.code !== WHITEOUT_CODE) return;
    const path = pathOf(line);
    if (path === undefined || !this.#select(path)) return;
    this.#count++;
    this.#first ??= path;
  }

  tell(onEvent: EventListener | undefined): void {
    if (this.#first === undefined) return;
    const which = this.#count === 1 ? 'an overlay whiteout' : `${this.#count} overlay whiteouts`;
    const message =
      `the run lacks ${which} of what is selected, the first is ${displayPath(this.#first)}: ` +
      'no run holds them, and files that were deleted there show again';
    onEvent?.({ type: 'log', level: 'warning', message });
  }
}
