import { createReadStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SysbackupError } from '../errors.js';
import { LineSplitter } from './line-splitter.js';
import { formatLine } from './lines.js';
import { isOlderManifest } from './older-runs.js';
import { type ManifestStore, readManifest, readManifestBytes } from './reader.js';
import type { ManifestFooter, ManifestHeader, ManifestLine } from './types.js';

/** A whole manifest, found right, in a local file. */
export interface FetchedManifest {
  readonly header: ManifestHeader;
  readonly footer: ManifestFooter;
  /** Its lines in batches; may be read any number of times. */
  lines(signal?: AbortSignal): AsyncGenerator<ManifestLine[], void>;
  /** Removes the local file. */
  remove(): Promise<void>;
}

const CHUNK = 256 * 1024;

export interface FetchManifestOptions {
  /** Gets each batch while the manifest is checked: for counting only, since nothing is sure yet. */
  onLines?: (lines: readonly ManifestLine[]) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Reads a manifest once from its first to its last line into a file below `spoolFolder`, and gives it only when all
 * of it has been found right: that a manifest was cut short or edited shows at its end only. The file holds the
 * stored, compressed bytes (of the older format: lines in the form of format 2) and is readable by this user alone.
 *
 * Throws DAMAGED, SYSTEM where the spool cannot be written, and what the store throws.
 */
export async function fetchManifest(
  store: ManifestStore,
  run: { key: string; version: string },
  spoolFolder: string,
  options: FetchManifestOptions = {},
): Promise<FetchedManifest> {
  const { signal, onLines } = options;
  const folder = await mkdtemp(join(spoolFolder, 'manifest-')).catch(spoolFailed(spoolFolder));
  const isOlder = isOlderManifest(run.key);
  const path = join(folder, isOlder ? 'manifest.jsonl' : 'manifest.jsonl.gz');
  let header: ManifestHeader | undefined;
  let footer: ManifestFooter | undefined;
  try {
    const file = await open(path, 'wx', 0o600).catch(spoolFailed(path));
    try {
      const keep = (chunk: Buffer): Promise<void> => writeAll(file, chunk).catch(spoolFailed(path));
      const onBytes = isOlder ? undefined : keep;
      for await (const lines of readManifest(store, run.key, run.version, { onBytes, signal })) {
        if (isOlder) await keep(Buffer.from(lines.map(formatLine).join('')));
        for (const line of lines) {
          if (line.typ === 'manifest') header = line;
          else if (line.typ === 'end') footer = line;
        }
        onLines?.(lines);
      }
    } finally {
      await file.close();
    }
    if (!header || !footer) throw new SysbackupError('DAMAGED', `the manifest ${run.key} is empty`);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    header,
    footer,
    lines: (signal) => {
      const bytes = createReadStream(path, { highWaterMark: CHUNK });
      return isOlder ? ownLines(bytes) : readManifestBytes(bytes, run.key, { verifiedBefore: true, signal });
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Lines that this process has written. */
async function* ownLines(bytes: AsyncIterable<Buffer>): AsyncGenerator<ManifestLine[], void> {
  const splitter = new LineSplitter(Infinity);
  for await (const chunk of bytes) {
    const lines = splitter.push(chunk) ?? [];
    yield lines.map((line) => JSON.parse(line.toString('utf8')) as ManifestLine);
  }
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten;
}

function spoolFailed(path: string): (error: unknown) => never {
  return (error) => {
    throw new SysbackupError('SYSTEM', `cannot keep a copy of the manifest in ${path}: ${messageOf(error)}`, {
      hint: 'Name a folder with room for it as the place for temporary files.',
      cause: error,
    });
  };
}
