import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ObjectStore } from '#src/store/port.js';
import { bodyOf } from './bodies.js';
import { findProgram } from './programs.js';

/** An entry as the older format has it. */
export type OlderEntryJson = Record<string, unknown>;

export interface OlderBackup {
  /** The version of the manifest's key that is this run. */
  version: string;
  entries: OlderEntryJson[];
}

export interface OlderBucketOptions {
  /** How ACLs are spelled: as `getfacl -cE` does, or as a library does. */
  acl?: 'getfacl' | 'library';
  /** Leave out `sb`, as was often done. */
  withoutSpecialBits?: boolean;
}

/**
 * A bucket as the older program filled it, made from the description of its format alone: a manifest of one JSON
 * document, a new version of one key for each run; content under its SHA-256, gzip with a time in its header or as it
 * was; snapshots under dated keys.
 */
export class OlderBucket {
  readonly manifestKey: string;
  readonly #store: Pick<ObjectStore, 'put'>;
  readonly #options: OlderBucketOptions;
  /** What was stored before is used again, by its key. */
  readonly #versions = new Map<string, string>();

  constructor(store: Pick<ObjectStore, 'put'>, name: string, options: OlderBucketOptions = {}) {
    this.#store = store;
    this.#options = options;
    this.manifestKey = `manifests/${name}.json`;
  }

  /** One run: all below a folder, and the folders above it up to `/`. */
  async backUp(
    folder: string,
    snapshots: readonly string[] = [],
    log: readonly unknown[] = [],
  ): Promise<OlderBackup> {
    const above: string[] = [];
    for (let path = dirname(folder); !above.includes(path); path = dirname(path)) above.unshift(path);
    const entries: OlderEntryJson[] = [];
    for (const path of above) entries.push(await this.#entry(Buffer.from(path), lstatSync(path)));
    await this.#visit(Buffer.from(folder), entries);
    return { entries, version: await this.putManifest({ content: entries, snapshots, log }) };
  }

  async putManifest(document: unknown): Promise<string> {
    return await this.#put(this.manifestKey, Buffer.from(JSON.stringify(document, undefined, 1)), {});
  }

  /** The key, as a manifest names it. `time` like `2026-11-20T12:10Z`. */
  async putSnapshot(
    name: string,
    time: string,
    bytes: string,
    metadata: Record<string, string>,
    host?: string,
  ): Promise<string> {
    const key = `snapshots/${host === undefined ? '' : `${host}-`}${time}-${name}`;
    const isPacked = metadata['storage-encoding'] === 'gzip';
    await this.#put(key, isPacked ? gzipSync(bytes) : Buffer.from(bytes), metadata);
    return key;
  }

  /** Stores a content once more, as two machines did that did not know of each other. */
  async putContentAgain(bytes: Uint8Array): Promise<string> {
    this.#versions.delete(contentKey(bytes));
    return await this.#putContent(bytes);
  }

  async #visit(path: Buffer, entries: OlderEntryJson[]): Promise<void> {
    const stat = lstatSync(path);
    entries.push(await this.#entry(path, stat));
    if (!stat.isDirectory()) return;
    // By name, folder by folder: not the order of whole paths.
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare))
      await this.#visit(Buffer.concat([path, Buffer.from('/'), name]), entries);
  }

  async #entry(path: Buffer, stat: Stats): Promise<OlderEntryJson> {
    const common = {
      path: pythonText(path),
      // A name where one was found.
      o: stat.uid === 0 ? 'root' : stat.uid,
      g: stat.gid === 0 ? 'root' : stat.gid,
    };
    if (stat.isSymbolicLink()) return { typ: 'l', ...common, tgt: pythonText(readlinkSync(path, 'buffer')) };
    const rights = this.#rights(path, stat);
    if (stat.isDirectory()) return { typ: 'd', ...common, ...rights };
    const bytes = readFileSync(path);
    return {
      typ: 'f',
      ...common,
      ...rights,
      ...(bytes.length === 0
        ? { dat: null }
        : { dat: contentKey(bytes), ver: await this.#putContent(bytes) }),
      ...(stat.nlink > 1 ? { id: `${stat.dev}-${stat.ino}` } : {}),
    };
  }

  #rights(path: Buffer, { mode }: Stats): OlderEntryJson {
    const bits = ['s', 's', 't']
      .map((letter, index) => ((mode & (0o4000 >> index)) === 0 ? '-' : letter))
      .join('');
    const special = bits === '---' || this.#options.withoutSpecialBits === true ? {} : { sb: bits };
    if (findProgram('getfacl') === undefined) return { mode: mode & 0o777, ...special };
    const output = execFileSync('xargs', ['-0', 'getfacl', '-cEp', '--'], { input: path });
    const text = output.toString('utf8');
    // A plain mode is written as a number in every other entry, so that both are seen.
    if (!/^(?:default|mask)/m.test(text) && mode % 2 === 0) return { mode: mode & 0o777, ...special };
    const acl = this.#options.acl === 'library' ? text.replaceAll(/^default:/gm, 'd:') : text;
    return { acl: `${acl}\n`, ...special };
  }

  async #putContent(bytes: Uint8Array): Promise<string> {
    const key = contentKey(bytes);
    const known = this.#versions.get(key);
    if (known !== undefined) return known;
    const packed = gzipSync(bytes);
    // A time, as gzip by itself writes one.
    packed.writeUInt32LE(1_700_000_000, 4);
    const isPacked = packed.length < bytes.length;
    const version = await this.#put(
      key,
      isPacked ? packed : bytes,
      isPacked ? { 'storage-encoding': 'gzip' } : {},
    );
    this.#versions.set(key, version);
    return version;
  }

  async #put(key: string, bytes: Uint8Array, metadata: Record<string, string>): Promise<string> {
    const { version } = await this.#store.put({ key, body: bodyOf(bytes), retention: undefined, metadata });
    return version;
  }
}

function contentKey(bytes: Uint8Array): string {
  return `content/${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Bytes as Python's JSON has them: what is no UTF-8 as lone surrogates. */
function pythonText(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const lengths = [1, 2, 3, 4].filter((length) => isCharacter(bytes.subarray(at, at + length)));
    const length = lengths[0];
    text +=
      length === undefined
        ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0))
        : bytes.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return text;
}

function isCharacter(bytes: Buffer): boolean {
  const text = bytes.toString('utf8');
  return [...text].length === 1 && Buffer.from(text).equals(bytes);
}
