import { manifestKey } from '../manifest/keys.js';
import { formatLine } from '../manifest/lines.js';
import {
  MANIFEST_FORMAT,
  type ManifestFooter,
  type ManifestHeader,
  type SnapshotEntry,
} from '../manifest/types.js';
import type { LockDates } from '../store/lock-dates.js';
import type { RunClass } from './lock-keeper.js';
import type { ArchiveOptions } from './options.js';
import { putManifest } from './put-manifest.js';
import type { RunIdentity, Workshop } from './workshop.js';

/** A manifest's first line. */
export function headerLine(
  { run, machine, startMs }: RunIdentity,
  { settings, host, tool }: ArchiveOptions,
  locks: LockDates,
  classes: readonly RunClass[],
): Buffer {
  const until = new Date(locks.needed * 1000).toISOString();
  const header: ManifestHeader = {
    typ: 'manifest',
    format: MANIFEST_FORMAT,
    backup: settings.backupName,
    run,
    host,
    machine,
    start: new Date(startMs).toISOString(),
    tool,
    retention: locks.mode === undefined ? null : { mode: locks.mode, until },
    ...(classes.length === 0 ? {} : { classes: classes.map(({ name }) => name) }),
  };
  return Buffer.from(formatLine(header));
}

/**
 * Ends the manifest with snapshots, problems and footer, and stores it: the last thing that a run stores. Its own lock ends
 * at `until`, which all it names must reach.
 */
export async function storeManifest(
  { spool, catalog, identity, locks, start }: Workshop,
  footer: Omit<ManifestFooter, 'typ' | 'sha256'>,
  snapshots: readonly SnapshotEntry[],
  until: number,
): Promise<{ key: string; version: string }> {
  if (snapshots.length > 0) await spool.append(Buffer.from(snapshots.map(formatLine).join('')));
  for await (const piece of start.problems.pieces()) await spool.append(piece);
  const { path, size, md5 } = await spool.finish((sha256) =>
    Buffer.from(formatLine({ typ: 'end', ...footer, sha256 })),
  );
  catalog.finish();
  const { settings, manifestShownMs, signal } = start.options;
  const key = manifestKey(settings.backupName, identity.run, footer.outcome);
  const body = { pieces: [{ path, start: 0, end: size }], size, md5 };
  const request = { key, body, retention: locks.retention(until) };
  const { version } = await putManifest(start.store, request, { withinMs: manifestShownMs, signal });
  return { key, version };
}
