import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { contentOf } from './contents.js';
import { Random } from './random.js';
import { survey, type Tree } from './tree.js';

const PIECE = 2 ** 20;

/** A folder with one large file that changes as disk images, databases and logs do. */
export class OneFile {
  readonly tree: Tree;
  readonly #path: string;
  readonly #size: number;
  #end: number;
  #seed = 1;

  /** `size` in bytes. */
  constructor(folder: string, size: number) {
    const path = join(folder, 'one-file');
    mkdirSync(path);
    this.#path = join(path, 'image');
    this.#size = size;
    this.#end = 0;
    this.append(size);
    this.tree = survey(path, 'generated');
  }

  /** Writes over so many bytes, in so many places that lie as far from each other as can be. */
  change(bytes: number, places: number): void {
    const random = new Random((this.#seed += 1));
    const span = Math.floor(this.#size / places);
    const length = Math.ceil(bytes / places);
    for (let place = 0; place < places; place++)
      this.#write(place * span + random.below(Math.max(1, span - length)), length, random);
  }

  append(bytes: number): void {
    this.#write(this.#end, bytes, new Random((this.#seed += 1)));
    this.#end += bytes;
  }

  #write(start: number, length: number, random: Random): void {
    const file = openSync(this.#path, start === 0 && this.#end === 0 ? 'w' : 'r+');
    for (let done = 0; done < length; done += PIECE)
      writeSync(
        file,
        contentOf('records', Math.min(PIECE, length - done), random),
        0,
        undefined,
        start + done,
      );
    fsyncSync(file);
    closeSync(file);
  }
}
