import { type BundleRecord } from '../catalog/bundle-table.js';
import { ObjectTable } from '../catalog/object-table.js';
import { UnprovenContent } from '../catalog/unproven-content.js';
import { isFrozen } from '../config/storage-class.js';
import { SysbackupError, throwIfAborted } from '../errors.js';
import { contentKey } from '../manifest/keys.js';
import { NO_LOCK } from '../store/lock-dates.js';
import type { Retention, VersionHead } from '../store/port.js';
import { StoreError } from '../store/store-error.js';
import { type BundleMembers, readBundle } from './bundle-members.js';
import type { NamedMember } from './member-table.js';
import type { NamedBundle, NamedContent } from './named-content.js';
import type { RebuildCatalogOptions, RebuiltCatalog } from './rebuild-options.js';
import { sideBySide } from './side-by-side.js';

const ASKED_AT_ONCE = 16;
/** Each is in memory whole. */
const BUNDLES_AT_ONCE = 2;
const PROGRESS_OBJECTS = 200;
const MD5_ETAG = /^[0-9a-f]{32}$/;
/** A tar's unit, its end, and what a member's header takes where the tar is compressed. */
const RECORD = 512;
const TAR_END = 2 * RECORD;
const COMPRESSED_HEADER = 140;

/** Asks the store after all that a manifest names, and fills what a catalog is made of. */
export class ContentRecovery {
  readonly table = new ObjectTable();
  readonly unproven = new UnprovenContent();
  readonly counts: Omit<RebuiltCatalog, 'backup' | 'run'> = {
    objects: 0,
    bundles: 0,
    members: 0,
    unknownLocks: 0,
    missing: 0,
    refused: 0,
  };
  readonly #named: NamedContent;
  readonly #options: RebuildCatalogOptions;
  readonly #locks: boolean;
  #done = 0;
  #bytes = 0;

  private constructor(named: NamedContent, options: RebuildCatalogOptions, locks: boolean) {
    this.#named = named;
    this.#options = options;
    this.#locks = locks;
  }

  static async of(named: NamedContent, options: RebuildCatalogOptions): Promise<ContentRecovery> {
    return new ContentRecovery(named, options, await keepsLocks(options));
  }

  async recover(): Promise<void> {
    const { concurrency = ASKED_AT_ONCE } = this.#options;
    const { objects, bundles } = this.#named;
    await sideBySide(bundles.keys(), BUNDLES_AT_ONCE, (number) => this.#recoverBundle(number));
    await sideBySide(Array(objects.size).keys(), concurrency, (row) => this.#recoverObject(row));
    this.#tell();
  }

  async #recoverObject(row: number): Promise<void> {
    const { objects } = this.#named;
    const sha = Buffer.from(objects.sha(row));
    const [key, version] = [contentKey(sha.toString('hex')), objects.version(row)];
    const head = await this.#headOf(key, version);
    this.#advance(0);
    if (head === undefined) return;
    if (head.etag === undefined || !MD5_ETAG.test(head.etag)) {
      // Nothing would ever prove it: it is looked up and stored as without a catalog.
      this.counts.refused++;
      return;
    }
    const until = this.#untilOf(head.retention);
    const enc = objects.encoding(row);
    this.unproven.add(sha, 0, { version, enc, until, size: head.size, md5: Buffer.from(head.etag, 'hex') });
    this.counts.objects++;
  }

  async #recoverBundle(number: number): Promise<void> {
    const bundle = this.#named.bundles[number];
    if (bundle === undefined) return;
    const head = await this.#headOf(bundle.key, bundle.version);
    if (head === undefined) return;
    const found = await this.#membersOf(number, bundle, head);
    this.#advance(head.size);
    if (found === undefined) return;
    const { sha, version } = bundle;
    const live = found.members.reduce((sum, { len }) => sum + len, 0);
    const until = this.#untilOf(head.retention);
    const record: BundleRecord = { sha, version, until, size: found.size, stored: head.size };
    const row = this.table.bundles.add(record, live);
    for (const { sha: of, off, len, enc } of found.members)
      this.table.setMember(of, 0, { bundle: row, off, len, enc });
    this.counts.bundles++;
    this.counts.members += found.members.length;
  }

  /** Undefined where the bundle is not what the manifest says, which is told. */
  async #membersOf(
    number: number,
    bundle: NamedBundle,
    head: VersionHead,
  ): Promise<BundleMembers | undefined> {
    const { store, trustManifest, signal } = this.#options;
    const named = this.#named.membersOf(number);
    if (trustManifest === true) return asNamed(named, head);
    try {
      return await readBundle(store, bundle, named, signal);
    } catch (error) {
      throwIfAborted(signal);
      if (!isItsOwn(error)) throw error;
      this.#refuse(error);
      return undefined;
    }
  }

  /** Undefined where the version is gone, or could not be read when it is needed. */
  async #headOf(key: string, version: string): Promise<VersionHead | undefined> {
    const { store, settings, signal } = this.#options;
    throwIfAborted(signal);
    let head: VersionHead;
    try {
      head = await store.head(key, version);
    } catch (error) {
      if (!isItsOwn(error)) throw error;
      if (error.code === 'NOT_FOUND') this.counts.missing++;
      else this.#refuse(error);
      return undefined;
    }
    const { destination } = settings;
    const own = destination.kind === 's3' ? destination.s3.storageClass : undefined;
    const { storageClass } = head;
    if (storageClass === undefined || storageClass === own || !isFrozen(storageClass)) return head;
    this.counts.refused++;
    return undefined;
  }

  /** 0 where it is not known, or not as strict as it must be: it is extended when it is next used. */
  #untilOf(retention: Retention | undefined): number {
    if (!this.#locks) return NO_LOCK;
    const { mode } = this.#options.settings.content;
    if (retention !== undefined && (retention.mode === mode || retention.mode === 'COMPLIANCE'))
      return Math.min(retention.until, NO_LOCK - 1);
    this.counts.unknownLocks++;
    return 0;
  }

  #advance(bytes: number): void {
    this.#done++;
    this.#bytes += bytes;
    if (bytes > 0 || this.#done % PROGRESS_OBJECTS === 0) this.#tell();
  }

  #tell(): void {
    const entriesTotal = this.#named.objects.size + this.#named.bundles.length;
    const bytes = this.#bytes;
    this.#options.onEvent?.({ type: 'progress', phase: 'rebuild', entries: this.#done, entriesTotal, bytes });
  }

  #refuse(error: SysbackupError): void {
    this.counts.refused++;
    const message = `${error.message}: not used, and stored anew if need be`;
    this.#options.onEvent?.({ type: 'log', level: 'warning', message });
  }
}

/** Whether the store has locks. A reader need not be allowed to ask: then it is taken to have them. */
async function keepsLocks({ store }: RebuildCatalogOptions): Promise<boolean> {
  try {
    return (await store.capabilities()).objectLock;
  } catch (error) {
    if (error instanceof SysbackupError && error.code === 'ACCESS_DENIED') return true;
    throw error;
  }
}

/** Whether it is this one version that is wrong (frozen, encrypted with a key of its own), and not the store that fails. */
function isItsOwn(error: unknown): error is SysbackupError {
  if (error instanceof StoreError && error.code === 'STORE_FAILED') return !error.retryable;
  return error instanceof SysbackupError && ['DAMAGED', 'NOT_FOUND', 'SYSTEM'].includes(error.code);
}

/**
 * What a manifest says of a bundle, unread. How much of it is named by no entry follows from its size: that is taken to
 * have as much of the tar around it as what is named.
 */
function asNamed(named: Iterable<NamedMember>, head: VersionHead): BundleMembers {
  const isCompressed = head.metadata['storage-encoding'] === 'gzip';
  const members: BundleMembers['members'] = [];
  let [live, inTar] = [0, 0];
  for (const { sha, off, len, enc } of named) {
    live += len;
    inTar += isCompressed ? COMPRESSED_HEADER + len : RECORD + Math.ceil(len / RECORD) * RECORD;
    if (sha !== undefined) members.push({ sha: Buffer.from(sha), off, len, enc });
  }
  const end = isCompressed ? 0 : TAR_END;
  const share = inTar === 0 ? 1 : Math.max(1, (head.size - end) / inTar);
  return { bytes: head.size, size: Math.round(live * share), members };
}
