import { LARGEST_SUM } from '../add-up.js';
import { explainedErrno } from '../errno-names.js';
import { CURRENT, DOUBTFUL, SETTLED } from '../catalog/entry-blocks.js';
import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';
import {
  type Description,
  describe,
  describeLink,
  type KnownNames,
  type Unreadable,
} from '../files/entry.js';
import { FileStat } from '../files/stat.js';
import { checkedLine } from '../manifest/checked-line.js';
import { LineFault } from '../manifest/line-fault.js';
import { pathFields } from '../manifest/paths.js';
import type { FileWarning, ManifestEntry } from '../manifest/types.js';
import { Coming } from './coming.js';
import type { Content, ContentTaker } from './content-taker.js';
import type { ComingEntry, OutputEntry, PendingEntry } from './entry-output.js';
import { refusedLine, tooLarge, unreadable } from './entry-problems.js';

export interface EntryMakerOptions {
  names: KnownNames & { resolve(uids: Iterable<number>, gids: Iterable<number>): Promise<void> };
  contents: ContentTaker;
  report: (problem: Problem) => void;
  /** When the run began to look at files, nanoseconds by the machine's clock. */
  startedNs: bigint;
}

/**
 * A file written within the granularity of its clock after being read can have the time it had before. The kernel
 * stamps with the time of its last tick (4 or 10 ms); file systems that keep whole seconds (or two: FAT) are told by
 * times without a fraction.
 */
const TICK_NS = 20_000_000n;
const COARSE_NS = 2_000_000_000n;

/** Makes the entries of new and changed paths: describes them and has their content stored. */
export class EntryMaker {
  readonly #options: EntryMakerOptions;

  constructor(options: EntryMakerOptions) {
    this.#options = options;
  }

  make(path: BytePath, stats: Buffer, statAt: number): PendingEntry {
    const stat = new FileStat(stats, statAt);
    switch (stat.kind) {
      case 'directory':
        return this.#described(path, stat, describe, (metadata) => ({
          typ: 'd',
          ...pathFields(path),
          ...metadata,
        }));
      case 'symlink':
        return this.#described(path, stat, describeLink, (metadata) => ({
          typ: 'l',
          ...pathFields(path),
          ...metadata,
          ...(stat.links > 1 ? { id: stat.linkId } : {}),
        }));
      default:
        if (stat.size > LARGEST_SUM) return this.#withoutEntry(tooLarge(path, stat.size));
        return this.#file(path, stat);
    }
  }

  #file(path: BytePath, stat: FileStat): ComingEntry {
    const coming: ComingEntry = new Coming();
    const { settle, fail } = coming;
    this.#options.contents.take(
      path,
      stat,
      (content) => {
        const entry = content && this.#withContent(path, content);
        if (entry instanceof Promise) entry.then(settle, fail);
        else settle(entry);
      },
      fail,
    );
    return coming;
  }

  #withContent(
    path: BytePath,
    { reading, dat, flags, single }: Content,
  ): OutputEntry | Promise<OutputEntry | undefined> {
    const warnings: FileWarning[] = [
      ...(reading.unlocked ? (['unlocked-copy'] as const) : []),
      ...(reading.changed ? (['changed-while-reading'] as const) : []),
    ];
    const settled = reading.lasting && !this.#isFresh(reading.stat, reading.startedNs) ? SETTLED : 0;
    const doubtful = warnings.length > 0 ? DOUBTFUL : 0;
    return this.#described(
      path,
      reading.stat,
      describe,
      (metadata) => ({
        typ: 'f',
        ...pathFields(path),
        ...metadata,
        dat,
        sha: Buffer.from(reading.sha).toString('hex'),
        size: reading.size,
        ...(reading.stat.links > 1 ? { id: reading.stat.linkId } : {}),
        ...(warnings.length > 0 ? { w: warnings } : {}),
      }),
      { flags: flags | settled | doubtful, single, size: reading.size },
    );
  }

  /** The entry at once where the owners' names are known, which after a few files they are. */
  #described<Metadata>(
    path: BytePath,
    stat: FileStat,
    describeIt: (path: BytePath, stat: FileStat, names: KnownNames) => Description<Metadata>,
    entry: (metadata: Metadata) => ManifestEntry,
    file?: { flags: number; single: Content['single']; size: number },
  ): OutputEntry | Promise<OutputEntry | undefined> {
    const description = describeIt(path, stat, this.#options.names);
    if (description.is === 'unresolved') {
      return this.#options.names
        .resolve(description.uids, description.gids)
        .then(() => this.#described(path, stat, describeIt, entry, file));
    }
    if (description.is === 'failed') return this.#withoutEntry(unreadable(path, stat, description.errno));
    const made = entry(description.metadata);
    const line = lineOf(made);
    if (line instanceof LineFault) return this.#withoutEntry(refusedLine(path, line, made));
    if (description.unreadable !== undefined) this.#reportUnreadable(path, description.unreadable);
    const flags = file?.flags ?? (this.#isFresh(stat, this.#options.startedNs) ? 0 : SETTLED);
    return {
      path,
      line,
      flags: CURRENT | (description.unreadable === undefined ? flags : flags & ~SETTLED),
      stat: stat.bytes,
      statAt: stat.offset,
      sha: file?.single?.sha,
      shaAt: 0,
      tag: file?.single?.tag ?? 0,
      ...(file === undefined ? {} : { size: file.size }),
    };
  }

  #withoutEntry(problem: Problem): Promise<undefined> {
    this.#options.report(problem);
    return Promise.resolve(undefined);
  }

  /** Whether a further change could have left the same times. */
  #isFresh(stat: FileStat, lookedNs: bigint): boolean {
    const { ctimeNs, mtimeNs } = stat;
    const coarse = ctimeNs % 1_000_000_000n === 0n && mtimeNs % 1_000_000_000n === 0n;
    const latest = ctimeNs > mtimeNs ? ctimeNs : mtimeNs;
    return latest >= lookedNs - (coarse ? COARSE_NS : TICK_NS);
  }

  #reportUnreadable(path: BytePath, unreadable: readonly Unreadable[]): void {
    const what = unreadable.map(({ name, errno }) => `${name} (${explainedErrno(errno)})`).join(', ');
    const message = `${displayPath(path)}: could not read ${what}; the rest of it is backed up`;
    this.#options.report({ severity: 'failure', code: 'attributes-unreadable', message, path });
  }
}

function lineOf(entry: ManifestEntry): Buffer | LineFault {
  try {
    return checkedLine(entry);
  } catch (error) {
    if (error instanceof LineFault) return error;
    throw error;
  }
}
