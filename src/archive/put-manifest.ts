import { messageOf, SysbackupError } from '../errors.js';
import { pauseFor } from '../store/backoff.js';
import { listAll, type ListedVersion, type ObjectStore, type PutRequest } from '../store/port.js';
import { mayBeMd5, REMOVES_VERSION } from '../store/put-answer.js';
import { StoreError } from '../store/store-error.js';

const WITHIN_MS = 30_000;
/** Between two looks. A listing of today's servers shows at once what was stored. */
const FIRST_PAUSE_MS = 250;

export interface PutManifestOptions {
  /** Milliseconds for which a listing is asked for the manifest. Default 30,000. */
  withinMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Stores a manifest, and where answers come over a network looks whether a listing shows it: a run counts as stored only
 * if whoever restores will find it. That holds too where the PUT's answer was lost. Returns the version that readers
 * take, the oldest; it must have this manifest's bytes.
 *
 * Throws what the PUT throws, and STORE_FAILED where the manifest may have been stored.
 */
export async function putManifest(
  store: ObjectStore,
  request: PutRequest,
  options: PutManifestOptions,
): Promise<{ version: string }> {
  let answered: string | undefined;
  let lost: unknown;
  try {
    answered = (await store.put(request)).version;
    if (store.etags === undefined) return { version: answered };
  } catch (error) {
    if (store.etags === undefined || !mayBeStored(error)) throw error;
    lost = error;
  }
  const { withinMs = WITHIN_MS, signal } = options;
  const begun = performance.now();
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    const leftMs = Math.max(1, Math.floor(withinMs - (performance.now() - begun)));
    const rows = await versionsOf(store, request.key, leftMs).catch((error: unknown) => {
      throw unsure(store, request.key, error);
    });
    const version = oldestOwn(rows, request, answered, store.etags);
    if (version !== undefined) return { version };
    if (performance.now() - begun + pauseMs > withinMs) throw notShown(store, request, rows, answered, lost);
    await pauseFor(pauseMs, signal);
  }
}

/** Nothing was said of a PUT that may have been done. */
function mayBeStored(error: unknown): boolean {
  return error instanceof StoreError && error.code === 'STORE_FAILED' && error.retryable;
}

/** The versions of the key, the newest first. */
async function versionsOf(store: ObjectStore, key: string, withinMs: number): Promise<ListedVersion[]> {
  const rows: ListedVersion[] = [];
  for await (const row of listAll(store, { prefix: key, withinMs }))
    if (row.key === key && !row.deleteMarker) rows.push(row);
  return rows;
}

/** The oldest version where its bytes are this manifest's, and the answered one is among those that are there. */
function oldestOwn(
  rows: readonly ListedVersion[],
  { body }: PutRequest,
  answered: string | undefined,
  etags: ObjectStore['etags'],
): string | undefined {
  const oldest = rows.at(-1);
  if (answered !== undefined && !rows.some(({ version }) => version === answered)) return undefined;
  if (oldest === undefined || !isSame(oldest, body, etags)) return undefined;
  return oldest.version;
}

function isSame(
  { size, etag }: ListedVersion,
  body: PutRequest['body'],
  etags: ObjectStore['etags'],
): boolean {
  return size === body.size && (etags !== 'md5' || !mayBeMd5(etag) || etag?.toLowerCase() === body.md5);
}

function notShown(
  store: ObjectStore,
  { key, body }: PutRequest,
  rows: readonly ListedVersion[],
  answered: string | undefined,
  lost: unknown,
): SysbackupError {
  const isThere = rows.some((row) => isSame(row, body, store.etags));
  // Its version was not named, so neither was that of any content.
  if (answered === 'null' && isThere)
    return new SysbackupError(
      'STORE_UNSUITABLE',
      `storing ${key} in ${store.description}: ${REMOVES_VERSION}`,
      {
        hint: 'Is there a proxy, which has to pass on all headers of answers?',
      },
    );
  if (lost !== undefined) return unsure(store, key, lost);
  const why = rows.length === 0 ? 'a listing does not show it' : 'a listing shows others before it';
  return unsure(store, key, new Error(why));
}

function unsure(store: ObjectStore, key: string, cause: unknown): SysbackupError {
  if (cause instanceof SysbackupError && cause.code === 'ABORTED') return cause;
  return new SysbackupError(
    'STORE_FAILED',
    `the manifest ${key} may have been stored in ${store.description}, which cannot be seen: ${messageOf(cause)}`,
    {
      cause,
      hint: 'What was stored is used again by the next run; `s3-sysbackup list` shows whether this one is there.',
    },
  );
}
