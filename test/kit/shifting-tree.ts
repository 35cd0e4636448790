import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as fc from 'fast-check';

/** A step that changes a tree; what it cannot do is left undone. */
export interface Shift {
  does: (typeof SHIFTS)[number];
  /** Which path it is about, and which other: numbers among those there are. */
  at: number;
  to: number;
  name: string;
  content: string;
}

/** Between two runs anything may happen; the last ones are those by which a path changes and no stat of its file. */
const SHIFTS = [
  'write',
  'write in place',
  'append',
  'chmod',
  'touch',
  'remove',
  'make folder',
  'rename',
  'hard link',
  'link to inside',
  'link to outside',
  'link to nowhere',
  'retarget',
  'become a folder',
  'become special',
  'swap',
  'replace folder by link to it outside',
  'replace folder by link to it inside',
  'replace link by what it leads to',
] as const;

const NAMES = ['a', 'b', 'a-b', 'a.b', 'new\nline', 'ä'];

export const shift: fc.Arbitrary<Shift> = fc.record({
  does: fc.oneof(fc.constantFrom(...SHIFTS), fc.constantFrom('write' as const, 'write in place' as const)),
  at: fc.nat(),
  to: fc.nat(),
  name: fc.constantFrom(...NAMES),
  content: fc.string({ maxLength: 20 }),
});

/** A tree, and a folder outside of it into which links lead. */
export class ShiftingTree {
  readonly #root: string;
  readonly #outside: string;
  #moved = 0;

  constructor(root: string, outside: string) {
    this.#root = root;
    this.#outside = outside;
    mkdirSync(join(outside, 'folder'), { recursive: true });
    writeFileSync(join(outside, 'folder/file'), 'outside');
  }

  /** All paths of both, folders before what is in them. */
  paths(): string[] {
    return [...below(this.#root), ...below(this.#outside)];
  }

  shift({ does, at, to, name, content }: Shift): void {
    const all = below(this.#root);
    const folders = [this.#root, ...all.filter((path) => lstatSync(path).isDirectory())];
    const any = pick(all, at);
    const other = pick(all, to);
    const folder = pick(folders, at) ?? this.#root;
    const fresh = join(pick(folders, to) ?? this.#root, name);
    const file = pick(
      all.filter((path) => lstatSync(path).isFile()),
      at,
    );
    const link = pick(
      all.filter((path) => lstatSync(path).isSymbolicLink()),
      at,
    );
    const isFree = lstatSync(fresh, { throwIfNoEntry: false }) === undefined;
    switch (does) {
      case 'write':
        if (!isFree) break;
        writeFileSync(fresh, content);
        // A time that can be put back to the nanosecond.
        utimesSync(fresh, 1_600_000_000, 1_600_000_000);
        break;
      case 'write in place':
        if (file !== undefined) writeInPlace(file);
        break;
      case 'append':
        if (file !== undefined) writeFileSync(file, content, { flag: 'a' });
        break;
      case 'chmod':
        if (any !== undefined && !lstatSync(any).isSymbolicLink()) chmodSync(any, 0o700 | (to & 0o77));
        break;
      case 'touch':
        if (file !== undefined) utimesSync(file, to % 2_000_000_000, to % 2_000_000_000);
        break;
      case 'remove':
        if (any !== undefined) rmSync(any, { recursive: true });
        break;
      case 'make folder':
        if (isFree) mkdirSync(fresh);
        break;
      case 'rename':
        if (any !== undefined && isFree && !isIn(fresh, any)) renameSync(any, fresh);
        break;
      case 'hard link':
        if (file !== undefined && isFree) linkSync(file, fresh);
        break;
      case 'link to inside':
        if (any !== undefined && isFree) symlinkSync(any, fresh);
        break;
      case 'link to outside':
        if (isFree)
          symlinkSync(join(this.#outside, ...(to % 2 === 0 ? ['folder'] : ['folder', 'file'])), fresh);
        break;
      case 'link to nowhere':
        if (isFree) symlinkSync(nowhere(content), fresh);
        break;
      case 'retarget':
        if (link === undefined || other === undefined) break;
        rmSync(link);
        symlinkSync(other, link);
        break;
      case 'become a folder':
        if (file === undefined) break;
        rmSync(file);
        mkdirSync(file);
        break;
      case 'become special':
        if (file === undefined) break;
        rmSync(file);
        execFileSync('mkfifo', [file]);
        break;
      case 'swap':
        if (any !== undefined && other !== undefined) swap(any, other);
        break;
      case 'replace folder by link to it outside':
        this.#moveAway(folder, join(this.#outside, `moved-${this.#moved++}`));
        break;
      case 'replace folder by link to it inside':
        if (isFree) this.#moveAway(folder, fresh);
        break;
      case 'replace link by what it leads to':
        if (link !== undefined) this.#putBack(link);
    }
  }

  #moveAway(folder: string, to: string): void {
    if (folder === this.#root || isIn(to, folder)) return;
    renameSync(folder, to);
    symlinkSync(to, folder);
  }

  /** Only where that is in one of the two, and not elsewhere on the machine that runs this. */
  #putBack(link: string): void {
    const target = readlinkSync(link);
    if (!target.startsWith('/') || !existsSync(target)) return;
    const real = join(realpathSync(dirname(target)), basename(target));
    const isOurs = [this.#root, this.#outside].some((top) => real.startsWith(`${realpathSync(top)}/`));
    if (!isOurs || isIn(link, real)) return;
    rmSync(link);
    renameSync(target, link);
  }
}

/**
 * Any text, but none that leads out of the tree: there may be anything, the journal of the run that reads it, which
 * grows by what is read of it, among it.
 */
function nowhere(content: string): string {
  const text = content.replaceAll('\0', '');
  const leadsOut = text === '' || text.startsWith('/') || text.split('/').includes('..');
  return leadsOut ? `nowhere/${text}` : text;
}

function pick(paths: readonly string[], at: number): string | undefined {
  return paths[at % Math.max(1, paths.length)];
}

function below(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? [path, ...below(path)] : [path];
    });
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** Other bytes, as many as before, and the time put back. */
function writeInPlace(file: string): void {
  const { atime, mtime } = lstatSync(file);
  writeFileSync(
    file,
    readFileSync(file).map((byte) => byte ^ 1),
  );
  utimesSync(file, atime, mtime);
}

function swap(one: string, other: string): void {
  if (isIn(one, other) || isIn(other, one)) return;
  renameSync(one, `${one}.swapped`);
  renameSync(other, one);
  renameSync(`${one}.swapped`, other);
}
