import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import * as fc from 'fast-check';
import { type AclEntry, encodeAcl } from '#src/files/acl.js';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, setxattr, utimensat } from '#src/files/native.js';
import { asRoot } from './programs.js';

/** Something in a tree, with all that a backup has to bring back. */
export interface GeneratedNode {
  name: Buffer;
  kind: 'folder' | 'file' | 'symlink' | 'hard link';
  /** Of a file; of a symlink its target, as far as that can be one. */
  content: Uint8Array;
  /** Zeros between the content twice over: long files, with blocks that repeat. */
  zeros: number;
  mode: number;
  uid: number;
  gid: number;
  seconds: number;
  nanoseconds: number;
  attribute: { name: string; value: Uint8Array } | undefined;
  acl: { access: boolean; default: boolean; id: number; permissions: number; mask: number } | undefined;
  /** Which folder it is in, or which inode it is a further name of: an index into what was made before. */
  place: number;
}

/** A change to a node of a tree that is there already. */
export interface GeneratedEdit {
  at: number;
  does: 'append' | 'rewrite' | 'chmod' | 'touch' | 'rename' | 'remove' | 'attribute' | 'replace by folder';
  node: GeneratedNode;
}

const name = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).map((text) => Buffer.from(text)),
    fc.constantFrom('a', 'a-b', 'a.b', 'a b', 'b').map((text) => Buffer.from(text)),
  )
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x41 : byte))))
  .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));

export function generatedNode(blockSize: number): fc.Arbitrary<GeneratedNode> {
  const permissions = fc.integer({ min: 0, max: 7 });
  return fc.record({
    name,
    kind: fc.constantFrom('folder', 'file', 'file', 'file', 'symlink', 'hard link'),
    content: fc.uint8Array({ maxLength: 3000 }),
    zeros: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat(4 * blockSize) },
    ),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.constantFrom(0, 1, 12_345, 4_294_967_294),
    gid: fc.constantFrom(0, 1, 54_321, 4_294_967_294),
    seconds: fc.oneof(fc.integer({ min: -2_000_000_000, max: 10_000_000_000 }), fc.constantFrom(-1, 0, 1)),
    nanoseconds: fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constant(0)),
    attribute: fc.option(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0')),
        value: fc.uint8Array({ maxLength: 100 }),
      }),
      { nil: undefined, freq: 3 },
    ),
    acl: fc.option(
      fc.record({
        access: fc.boolean(),
        default: fc.boolean(),
        id: fc.constantFrom(1, 12_345, 4_294_967_290),
        permissions,
        mask: permissions,
      }),
      { nil: undefined, freq: 3 },
    ),
    place: fc.nat(),
  });
}

export function generatedEdit(blockSize: number): fc.Arbitrary<GeneratedEdit> {
  return fc.record({
    at: fc.nat(),
    does: fc.constantFrom<GeneratedEdit['does'][]>(
      'append',
      'rewrite',
      'chmod',
      'touch',
      'rename',
      'remove',
      'attribute',
      'replace by folder',
    ),
    node: generatedNode(blockSize),
  });
}

/** A tree on the disk, made from nodes; what cannot be made (a name taken, an attribute refused) is left out. */
export class GeneratedTree {
  readonly root: Buffer;
  #folders: Buffer[];
  #others: Buffer[] = [];

  constructor(root: string) {
    this.root = Buffer.from(root);
    this.#folders = [this.root];
  }

  plant(nodes: readonly GeneratedNode[]): void {
    const made = nodes.flatMap((node) => {
      const path = this.#make(node);
      return path === undefined ? [] : [{ path, node }];
    });
    // From the leaves up, since making what is in a folder changes its times.
    for (const { path, node } of made.toReversed()) dress(path, node);
  }

  edit({ at, does, node }: GeneratedEdit): void {
    const path = this.#others[at % Math.max(1, this.#others.length)];
    if (path === undefined) return;
    const isLink = lstatSync(path).isSymbolicLink();
    switch (does) {
      case 'append':
        if (!isLink) writeInPlace(path, node.content, constants.O_APPEND);
        break;
      case 'rewrite':
        if (!isLink) writeInPlace(path, node.content, constants.O_TRUNC);
        break;
      case 'chmod':
        if (!isLink) chmodSync(path, permitted(node.mode));
        break;
      case 'touch':
        setTimes(path, node);
        break;
      case 'attribute':
        if (!isLink) setAttributes(path, node);
        break;
      case 'rename': {
        const to = this.#placeOf(node);
        if (isThere(to)) break;
        renameSync(path, to);
        this.#others[this.#others.indexOf(path)] = to;
        break;
      }
      default:
        rmSync(path);
        this.#others.splice(this.#others.indexOf(path), 1);
        if (does === 'replace by folder') {
          mkdirSync(path);
          this.#folders.push(path);
        }
    }
  }

  #placeOf({ name, place }: GeneratedNode): Buffer {
    const folder = this.#folders[place % this.#folders.length] ?? this.root;
    return Buffer.concat([folder, Buffer.from('/'), name]);
  }

  #make(node: GeneratedNode): Buffer | undefined {
    const path = this.#placeOf(node);
    if (isThere(path)) return undefined;
    const { kind, content, zeros } = node;
    if (kind === 'folder') {
      mkdirSync(path);
      this.#folders.push(path);
      return path;
    }
    const first = this.#others[node.place % Math.max(1, this.#others.length)];
    if (kind === 'symlink') symlinkSync(targetFrom(content), path);
    else if (kind === 'hard link' && first !== undefined) linkSync(first, path);
    else
      writeFileSync(
        path,
        Buffer.concat([content, Buffer.alloc(zeros), zeros > 0 ? content : Buffer.alloc(0)]),
      );
    this.#others.push(path);
    return path;
  }
}

function targetFrom(content: Uint8Array): Buffer {
  const bytes = Buffer.from(content.filter((byte) => byte !== 0)).subarray(0, 200);
  return bytes.length === 0 ? Buffer.from('nowhere') : bytes;
}

/** Without O_CREAT: with it, others' files in a sticky folder are refused even to root (`fs.protected_regular`). */
function writeInPlace(path: Buffer, content: Uint8Array, flag: number): void {
  const file = openSync(path, constants.O_WRONLY | flag);
  writeFileSync(file, content);
  closeSync(file);
}

/** Who is not root must still be able to read what is to be backed up. */
function permitted(mode: number): number {
  return asRoot ? mode : mode | 0o700;
}

function dress(path: Buffer, node: GeneratedNode): void {
  const isLink = lstatSync(path).isSymbolicLink();
  if (asRoot) lchownSync(path, node.uid, node.gid);
  if (!isLink) {
    setAttributes(path, node);
    chmodSync(path, permitted(node.mode));
  }
  setTimes(path, node);
}

function setAttributes(path: Buffer, { attribute, acl }: GeneratedNode): void {
  const set = (name: string, value: Buffer): void => {
    setxattr(nul(path), nul(Buffer.from(name)), value, value.length, 0);
  };
  if (attribute !== undefined) set(`user.${attribute.name}`, Buffer.from(attribute.value));
  if (acl?.access === true) set('system.posix_acl_access', encodeAcl(aclFrom(acl)));
  if (acl?.default === true) set('system.posix_acl_default', encodeAcl(aclFrom(acl)));
}

function aclFrom({ id, permissions, mask }: { id: number; permissions: number; mask: number }): AclEntry[] {
  return [
    // Whoever is not root must still be able to read it.
    { tag: 'user-obj', permissions: 7 },
    { tag: 'user', id, permissions },
    { tag: 'group-obj', permissions: mask },
    { tag: 'group', id, permissions: permissions ^ 7 },
    { tag: 'mask', permissions: mask },
    { tag: 'other', permissions: permissions & 4 },
  ];
}

function setTimes(path: Buffer, { seconds, nanoseconds }: GeneratedNode): void {
  const times = Buffer.alloc(32);
  for (const at of [0, 16]) {
    times.writeBigInt64LE(BigInt(seconds), at);
    times.writeBigInt64LE(BigInt(nanoseconds), at + 8);
  }
  utimensat(AT_FDCWD, nul(path), times, AT_SYMLINK_NOFOLLOW);
}

function isThere(path: Buffer): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function nul(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.of(0)]);
}
