import { SysbackupError } from '../errors.js';
import { checkedLine } from '../manifest/checked-line.js';
import { FOOTER_REACH } from '../manifest/footer.js';
import { manifestKey, parseManifestKey } from '../manifest/keys.js';
import { LineFault } from '../manifest/line-fault.js';
import {
  MANIFEST_FORMAT,
  type ManifestFooter,
  type ManifestHeader,
  type ManifestLine,
  type SnapshotEntry,
} from '../manifest/types.js';
import { OwnMemory } from '../own-memory.js';
import type { LockDates } from '../store/lock-dates.js';
import type { RunClass } from './lock-keeper.js';
import type { ArchiveOptions } from './options.js';
import { putManifest } from './put-manifest.js';
import type { RunIdentity, Workshop } from './workshop.js';

/** For what zlib puts around so few bytes, even where it cannot make them shorter. */
const GZIP_AROUND = 64;

/** A manifest's first line. Throws SYSTEM where no reader would find the manifest, or take it. */
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
  // The store's clock, for instance, may show a year that no run id can name.
  const named = parseManifestKey(manifestKey(header.backup, run, 'complete'));
  if (named?.backup !== header.backup || named.run !== run)
    throw new SysbackupError('SYSTEM', `a run ${run} of ${header.backup} would never be found again`, {
      hint: "Is the store's clock right?",
    });
  return ownLine(header);
}

/** A line that is about no single file: without it there is no manifest. Throws SYSTEM where no reader would take it. */
function ownLine(line: ManifestLine): Buffer {
  try {
    return checkedLine(line);
  } catch (error) {
    if (!(error instanceof LineFault)) throw error;
    throw new SysbackupError(
      'SYSTEM',
      `no reader would take this run's manifest: its line \`${line.typ}\` ${error.message}`,
    );
  }
}

/** A manifest's last line, which a reader wants to find within the last 4 KiB. Throws SYSTEM. */
function footerLine(footer: ManifestFooter): Buffer {
  const line = ownLine(footer);
  if (line.length + GZIP_AROUND <= FOOTER_REACH) return line;
  throw new SysbackupError('SYSTEM', `this run's footer of ${line.length} bytes would be found by no reader`);
}

/**
 * Ends the manifest with snapshots, problems and footer, and stores it: the last thing that a run stores. Its own lock ends
 * at `until`, which all it names must reach.
 */
export async function storeManifest(
  { spool, identity, locks, start }: Workshop,
  footer: Omit<ManifestFooter, 'typ' | 'sha256'>,
  snapshots: readonly SnapshotEntry[],
  until: number,
): Promise<{ key: string; version: string }> {
  if (snapshots.length > 0) await spool.append(OwnMemory.of(Buffer.concat(snapshots.map(ownLine))));
  for await (const piece of start.problems.pieces()) await spool.append(piece);
  const { path, size, md5 } = await spool.finish((sha256) => footerLine({ typ: 'end', ...footer, sha256 }));
  const { settings, manifestShownMs, signal } = start.options;
  const key = manifestKey(settings.backupName, identity.run, footer.outcome);
  const body = { pieces: [{ path, start: 0, end: size }], size, md5 };
  const request = { key, body, retention: locks.retention(until) };
  const { version } = await putManifest(start.store, request, { withinMs: manifestShownMs, signal });
  return { key, version };
}
