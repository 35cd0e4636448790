import { createReadStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';
import { readManifest, readManifestBytes } from './reader.js';
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

export interface FetchManifestOptions {
  /** Gets each batch while the manifest is checked: for counting only, since nothing is sure yet. */
  onLines?: (lines: readonly ManifestLine[]) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Reads a manifest once from its first to its last line into a file below `spoolFolder`, and gives it only when all
 * of it has been found right: that a manifest was cut short or edited shows at its end only. The file holds the
 * stored, compressed bytes and is readable by this user alone.
 *
 * Throws DAMAGED, SYSTEM where the spool cannot be written, and what the store throws.
 */
export async function fetchManifest(
  store: Pick<ObjectStore, 'get'>,
  run: { key: string; version: string },
  spoolFolder: string,
  options: FetchManifestOptions = {},
): Promise<FetchedManifest> {
  const { signal, onLines } = options;
  const folder = await mkdtemp(join(spoolFolder, 'manifest-')).catch(spoolFailed(spoolFolder));
  const path = join(folder, 'manifest.jsonl.gz');
  let header: ManifestHeader | undefined;
  let footer: ManifestFooter | undefined;
  try {
    const file = await open(path, 'wx', 0o600).catch(spoolFailed(path));
    try {
      const onBytes = (chunk: Buffer): Promise<void> => writeAll(file, chunk).catch(spoolFailed(path));
      for await (const lines of readManifest(store, run.key, run.version, { onBytes, signal })) {
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
    lines: (signal) =>
      readManifestBytes(createReadStream(path, { highWaterMark: 256 * 1024 }), run.key, {
        verifiedBefore: true,
        signal,
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
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
