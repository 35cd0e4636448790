import * as fc from 'fast-check';
import type { AclEntry } from '#src/files/acl.js';
import { formatAcl } from '#src/files/acl-text.js';
import { type BytePath, pathFromBytes } from '#src/files/byte-path.js';
import { formatTimeNs, PACKED_STAT_SIZE } from '#src/files/stat.js';
import { xattrKey } from '#src/files/xattr.js';
import { pathFields, targetFields } from '#src/manifest/paths.js';
import type { FileSystemEntry, ObjectRef } from '#src/manifest/types.js';

/** Numbers where something ends: of a sign, of 31 and 32 bits, of what a double holds exactly, of 64 bits. */
export const EDGES = [
  0,
  1,
  -1,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  0.5,
  Number.NaN,
];
export const edge = fc.constantFrom(...EDGES);
/** Mostly what fits, so that not every generated thing is refused for one of its fields. */
export const mostlyFitting = (max: number): fc.Arbitrary<number> =>
  fc.oneof(
    {
      weight: 40,
      arbitrary: fc.constantFrom(...EDGES.filter((n) => Number.isInteger(n) && n >= 0 && n <= max)),
    },
    { weight: 1, arbitrary: edge },
  );

export const SECONDS = [
  0n,
  1n,
  -1n,
  2n ** 31n,
  -(2n ** 31n),
  2n ** 32n,
  10n ** 12n,
  -(10n ** 12n),
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];
export const seconds = fc.constantFrom(...SECONDS);
export const nanoseconds = fc.constantFrom(0, 1, 999_999_999);

const anyBytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => Buffer.from(text)),
    fc.constantFrom(0x61, 0x0a, 0x22, 0x5c, 0xff, 0x01).map((byte) => Buffer.alloc(maxLength, byte)),
  );

/** Any bytes but NUL, and among them as many as there can be. */
export const byteText = (maxLength: number): fc.Arbitrary<BytePath> =>
  anyBytes(maxLength).map((bytes) => pathFromBytes(bytes.map((byte) => (byte === 0 ? 1 : byte))));

export const path: fc.Arbitrary<BytePath> = byteText(4094).map((rest) => `/${rest}` as BytePath);

/** A text that a name service, a program or a snapshotter could give: any Unicode, half characters too. */
export const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('', '\ud800', '\u2028', '\ufeff', '1000', 'x'.repeat(maxLength)),
  );

const owner = fc.oneof(text(300), mostlyFitting(2 ** 32 - 1));

const aclEntry: fc.Arbitrary<AclEntry> = fc.oneof(
  fc.record({
    tag: fc.constantFrom('user' as const, 'group' as const),
    permissions: fc.nat(7),
    id: fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 2),
  }),
  fc.record({ tag: fc.constantFrom('mask' as const, 'other' as const), permissions: fc.nat(7) }),
);
const acl = fc
  .tuple(fc.array(aclEntry, { maxLength: 6 }), fc.array(aclEntry, { maxLength: 600 }), text(100))
  .map(([access, defaults, name]) =>
    formatAcl(access, defaults, { user: (id) => (id === 0 ? name : id), group: () => name }),
  );

/** Names and values as long as the kernel takes them. */
const xattr = fc
  .array(fc.tuple(fc.oneof(byteText(255), fc.constant('__proto__')), anyBytes(65_536)), { maxLength: 4 })
  .map((pairs) => {
    const all: Record<string, string> = Object.create(null) as Record<string, string>;
    for (const [name, value] of pairs) all[xattrKey(name)] = value.toString('base64');
    return all;
  });

const sha = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const enc = fc.constantFrom(undefined, 'gzip' as const, 'zstd' as const);

export const ref: fc.Arbitrary<ObjectRef> = fc
  .record({
    key: fc.oneof(
      { weight: 20, arbitrary: sha.map((hex) => `content/${hex}`) },
      { weight: 20, arbitrary: sha.map((hex) => `bundles/${hex}.tar`) },
      { weight: 1, arbitrary: text(1024).map((name) => `snapshots/a/${name}`) },
    ),
    ver: text(1024),
    enc,
    place: fc.option(fc.record({ off: mostlyFitting(2 ** 53 - 1), len: mostlyFitting(2 ** 53 - 1) }), {
      nil: undefined,
    }),
  })
  .map(({ place, enc, ...rest }) => ({ ...rest, ...(enc === undefined ? {} : { enc }), ...place }));

/** Blocks whose sum is what `size` says, most of the time. */
const blocks = fc
  .tuple(
    fc.array(
      fc.record({ ref, size: fc.constantFrom(1, 4096, 2 ** 31, 2 ** 40), n: fc.constantFrom(1, 2, 2 ** 12) }),
      { minLength: 1, maxLength: 40 },
    ),
    fc.constantFrom(0, 0, 0, 0, 0, 0, 1),
  )
  .map(([list, off]) => ({
    dat: list.map(({ ref, size, n }) => ({ ...ref, size, ...(n === 1 ? {} : { n }) })),
    size: list.reduce<number>((sum, { size, n }) => sum + size * n, off),
  }));

const EMPTY_SHA = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export const content = fc.oneof(
  fc.record({ dat: ref, sha, size: mostlyFitting(2 ** 53 - 1) }),
  fc.tuple(blocks, sha).map(([list, sha]) => ({ ...list, sha })),
  fc.constant({ dat: null, sha: EMPTY_SHA, size: 0 }),
);

const common = fc
  .record({
    path,
    o: owner,
    g: owner,
    uid: mostlyFitting(2 ** 32 - 1),
    gid: mostlyFitting(2 ** 32 - 1),
    seconds,
    nanoseconds,
    xattr: fc.option(xattr, { nil: undefined }),
  })
  .map(({ path, seconds, nanoseconds, xattr, ...rest }) => ({
    path,
    fields: {
      ...pathFields(path),
      ...rest,
      mt: formatTimeNs(seconds * 1_000_000_000n + BigInt(nanoseconds)),
      ...(xattr === undefined ? {} : { xattr }),
    },
  }));
const modeAndAcl = fc
  .record({
    mode: fc.oneof(
      { weight: 40, arbitrary: fc.constantFrom(0, 0o644, 0o7777) },
      { weight: 1, arbitrary: edge },
    ),
    acl,
  })
  .map(({ mode, acl }) => ({ mode, ...(acl === undefined ? {} : { acl }) }));
const id = fc.option(text(60), { nil: undefined }).map((id) => (id === undefined ? {} : { id }));

/** An entry as the run makes it of such a file, and its path. Some have a field that no reader takes. */
export const entry: fc.Arbitrary<{ path: BytePath; entry: FileSystemEntry }> = fc.oneof(
  fc.tuple(common, modeAndAcl).map(([{ path, fields }, mode]) => ({
    path,
    entry: { typ: 'd' as const, ...fields, ...mode } as FileSystemEntry,
  })),
  fc.tuple(common, byteText(4095), id).map(([{ path, fields }, target, id]) => ({
    path,
    entry: { typ: 'l' as const, ...fields, ...targetFields(target), ...id } as FileSystemEntry,
  })),
  fc.tuple(common, modeAndAcl, content, id).map(([{ path, fields }, mode, content, id]) => ({
    path,
    entry: { typ: 'f' as const, ...fields, ...mode, ...content, ...id } as FileSystemEntry,
  })),
);

/** What `statx` may say, packed as stat.ts has it, with every field at its ends. */
export const packedStat = (kind: number): fc.Arbitrary<Buffer> =>
  fc
    .record({
      links: fc.constantFrom(0, 1, 2, 2 ** 31, 2 ** 32 - 1),
      uid: fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1),
      gid: fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1),
      mode: fc.constantFrom(0, 0o644, 0o7777),
      inode: fc.constantFrom(0n, 1n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n),
      size: fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n),
      ctime: seconds,
      mtime: seconds,
      nanoseconds,
      device: fc.constantFrom(0, 2 ** 32 - 1),
    })
    .map(({ links, uid, gid, mode, inode, size, ctime, mtime, nanoseconds, device }) => {
      const bytes = Buffer.alloc(PACKED_STAT_SIZE);
      bytes.writeUInt32LE(links, 0);
      bytes.writeUInt32LE(uid, 4);
      bytes.writeUInt32LE(gid, 8);
      bytes.writeUInt16LE(kind | mode, 12);
      bytes.writeBigUInt64LE(inode, 16);
      bytes.writeBigUInt64LE(size, 24);
      bytes.writeBigInt64LE(ctime, 32);
      bytes.writeUInt32LE(nanoseconds, 40);
      bytes.writeBigInt64LE(mtime, 48);
      bytes.writeUInt32LE(nanoseconds, 56);
      bytes.writeUInt32LE(device, 64);
      bytes.writeUInt32LE(device, 68);
      return bytes;
    });
