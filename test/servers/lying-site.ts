import { randomBytes } from 'node:crypto';
import { failureOfRenewal, renew } from '#src/audit/renew.js';
import { verify } from '#src/audit/verify.js';
import { exitCodeOfOutcome, SysbackupError } from '#src/errors.js';
import type { SysbackupEvent } from '#src/events.js';
import { listAll, type ListedVersion } from '#src/store/port.js';
import { openStore, type OpenedStore, type OpenStoreOptions } from '#src/store/open.js';
import { BackupMachine } from '../kit/backup-machine.js';
import { type LyingOptions, LyingProxy } from '../kit/lying-proxy.js';
import { temporaryFolder } from '../kit/temporary.js';
import { restoreTree, treeOf } from '../kit/trees.js';
import type { CephServer, S3Keys } from './ceph.js';

/** A tenth of what the program waits. */
export const TENTH = {
  timeouts: { connect: 1000, idle: 6000, answer: 30_000 },
  maxElapsedMs: 30_000,
  firstMs: 25,
  longestMs: 2000,
} satisfies OpenStoreOptions;

/** For what does not depend on how long is waited. */
export const QUICK = { ...TENTH, firstMs: 5, longestMs: 50 } satisfies OpenStoreOptions;

/** How a command ended. */
export interface CommandEnd {
  /** What the command line would exit with. */
  code: number;
  seconds: number;
  message: string;
}

export interface SiteOptions {
  /** Whose machine and bucket it shares, through a proxy of its own. Default: it has its own. */
  of?: LyingSite;
  /** Default: {@link TENTH}. */
  patience?: OpenStoreOptions;
  /** Whose rights {@link LyingSite.direct} has. Default: the owner's. */
  readerKeys?: S3Keys;
  /** Default: a new one with Object Lock. */
  bucket?: string;
  /** Whose rights the machine has. Default: the owner's. */
  keys?: S3Keys;
  /** Of the machine, each a content object. Default 3. */
  files?: number;
  /** Default true. */
  requireObjectLock?: boolean;
}

/** A machine, its bucket in Ceph, and a proxy before that which does what an S3 server does not. */
export class LyingSite {
  readonly machine: BackupMachine;
  readonly bucket: string;
  readonly proxy: LyingProxy;
  /** Through the proxy. */
  opened: OpenedStore;
  /** Without it, with the rights of the bucket's owner. */
  readonly direct: OpenedStore;
  readonly events: SysbackupEvent[];
  readonly #open: () => Promise<OpenedStore>;

  private constructor(
    parts: Pick<LyingSite, 'bucket' | 'proxy' | 'opened' | 'direct' | 'events'>,
    { of, files = 3, requireObjectLock = true }: SiteOptions,
    open: () => Promise<OpenedStore>,
  ) {
    this.#open = open;
    this.machine = of?.machine ?? new BackupMachine();
    this.bucket = parts.bucket;
    this.proxy = parts.proxy;
    this.opened = parts.opened;
    this.direct = parts.direct;
    this.events = parts.events;
    if (of !== undefined) return;
    this.machine.store = this.opened.store;
    this.machine.settings = {
      ...this.machine.settings,
      destination: {
        kind: 's3',
        s3: {
          prefix: '',
          forcePathStyle: true,
          requireObjectLock,
          aws: {},
          cloudFormation: { export: 'unused' },
        },
      },
    };
    for (let index = 0; index < files; index++) this.machine.write(`f${index}`, randomBytes(700));
  }

  static async make(ceph: CephServer, lying: LyingOptions, options: SiteOptions = {}): Promise<LyingSite> {
    const proxy = await LyingProxy.start(ceph.endpoint, lying);
    const bucket = options.of?.bucket ?? options.bucket ?? (await ceph.createBucket());
    const events: SysbackupEvent[] = [];
    const { keys, readerKeys, patience = TENTH } = options;
    // Without the defaults, which would replace the timeouts.
    const { requestHandler: _, ...client } = ceph.clientConfig({
      endpoint: proxy.endpoint,
      ...(keys === undefined ? {} : { keys }),
    });
    const open = (): Promise<OpenedStore> =>
      openStore({ kind: 's3', bucket, client }, { ...patience, listener: (event) => events.push(event) });
    const opened = await open();
    const direct = await openStore({
      kind: 's3',
      bucket,
      client: ceph.clientConfig(readerKeys === undefined ? {} : { keys: readerKeys }),
    });
    return new LyingSite({ bucket, proxy, opened, direct, events }, options, open);
  }

  /** As by the next call of the program, which knows nothing of the store. */
  async reopen(): Promise<void> {
    await this.opened.store.close();
    this.opened = await this.#open();
    this.machine.store = this.opened.store;
    this.events.length = 0;
  }

  async archive(): Promise<CommandEnd> {
    return await this.#ended(async () => {
      const { summary } = await this.machine.archive({ manifestShownMs: 3000 });
      return exitCodeOfOutcome(summary.outcome);
    });
  }

  async restore(): Promise<CommandEnd> {
    return await this.#ended(async () => {
      const { summary, tree } = await restoreTree(this.opened.store, this.machine.tree);
      if (summary.failed > 0) return 3;
      if (JSON.stringify(tree) !== JSON.stringify(treeOf(this.machine.tree)))
        throw new Error('a restore that ends with 0 brought something else');
      return 0;
    });
  }

  /** For more days than the machine retains. */
  async renew(): Promise<CommandEnd> {
    return await this.#ended(async () => {
      const spoolFolder = temporaryFolder();
      const result = await renew({ store: this.opened.store, spoolFolder, daysRetained: 40 });
      const failure = failureOfRenewal(result);
      if (failure !== undefined) throw failure;
      return 0;
    });
  }

  /** What the store itself has: whether a run restores what the machine has, and what `verify` says. */
  async truth(): Promise<{ restores: boolean; findings: string[]; until: number | undefined }> {
    const { store } = this.direct;
    const { findings, shortest } = await verify({ store, spoolFolder: temporaryFolder() });
    const { summary, tree } = await restoreTree(store, this.machine.tree);
    return {
      restores: summary.failed === 0 && JSON.stringify(tree) === JSON.stringify(treeOf(this.machine.tree)),
      findings: findings.map(({ kind }) => kind),
      until: shortest[0]?.until,
    };
  }

  /** All versions in the bucket. */
  async versions(): Promise<ListedVersion[]> {
    const versions: ListedVersion[] = [];
    for await (const version of listAll(this.direct.store, { prefix: '' })) versions.push(version);
    return versions;
  }

  async close(): Promise<void> {
    await this.proxy.stop();
    await this.opened.store.close();
    await this.direct.store.close();
  }

  async #ended(work: () => Promise<number>): Promise<CommandEnd> {
    const begun = performance.now();
    const end = (code: number, message: string): CommandEnd => ({
      code,
      seconds: (performance.now() - begun) / 1000,
      message,
    });
    try {
      return end(await work(), '');
    } catch (error) {
      if (!(error instanceof SysbackupError)) throw error;
      return end(error.exitCode, error.message);
    }
  }
}
