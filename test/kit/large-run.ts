import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { contentKey, manifestKey } from '#src/manifest/keys.js';
import { formatLine } from '#src/manifest/lines.js';
import { ManifestSpool } from '#src/manifest/spool.js';
import type { FileSystemEntry, ManifestHeader } from '#src/manifest/types.js';
import { OwnMemory } from '#src/own-memory.js';
import { openDirectoryStore } from '#src/store/directory.js';

const FILES_IN_A_FOLDER = 100;
const FOLDERS_IN_A_FOLDER = 100;
/** As an archive does. */
const LINES_IN_A_MEMBER = 512;

export interface LargeRun {
  /** The directory store. It need not be there yet. */
  store: string;
  backup: string;
  run: string;
  files: number;
  /** Every so many-th file has another mode than in runs without this. */
  changed?: number;
}

/**
 * Stores a run of many files in a directory store: its manifest, written as an archive writes one, and of all contents
 * the last file's. Resolves with that file's path, and how many entries there are.
 */
export async function storeLargeRun(options: LargeRun): Promise<{ last: string; entries: number }> {
  const { backup, run, files, changed = 0 } = options;
  const store = await openDirectoryStore({ path: options.store, create: true });
  const content = Buffer.from('the content of the last file\n');
  const lastSha = hash('sha256', content);
  const retention = { mode: 'GOVERNANCE' as const, until: Math.floor(Date.now() / 1000) + 14 * 86_400 };
  const body = { bytes: content, size: content.length, md5: hash('md5', content) };
  const { version } = await store.put({ key: contentKey(lastSha), body, retention });

  const header: ManifestHeader = {
    typ: 'manifest',
    format: 2,
    backup,
    run,
    host: 'large',
    machine: 'abcd00000000',
    start: '2026-01-02T03:04:05.000Z',
    tool: 's3-sysbackup test',
    retention: { mode: 'GOVERNANCE', until: new Date(retention.until * 1000).toISOString() },
  };
  const spoolPath = join(options.store, 'large-run');
  const spool = new ManifestSpool(spoolPath);
  const counts = { d: 0, l: 0, f: 0, s: 0, problems: 0 };
  let lines = [formatLine(header)];
  let last = '';
  const add = async (entry: FileSystemEntry): Promise<void> => {
    counts[entry.typ] += 1;
    lines.push(formatLine(entry));
    if (lines.length < LINES_IN_A_MEMBER) return;
    await spool.append(OwnMemory.of(Buffer.from(lines.join(''))));
    lines = [];
  };
  const owner = { o: 'root', g: 'root', uid: 0, gid: 0 };
  const folder = (path: string): Promise<void> =>
    add({ typ: 'd', path, ...owner, mode: 0o755, mt: '1700000000.123456789' });
  await folder('/');
  await folder('/srv');
  for (let index = 0; index < files; index += 1) {
    const folders = Math.floor(index / FILES_IN_A_FOLDER);
    const outer = `/srv/part-${digits(Math.floor(folders / FOLDERS_IN_A_FOLDER))}`;
    const inner = `${outer}/folder-${digits(folders % FOLDERS_IN_A_FOLDER)}`;
    if (index % (FILES_IN_A_FOLDER * FOLDERS_IN_A_FOLDER) === 0) await folder(outer);
    if (index % FILES_IN_A_FOLDER === 0) await folder(inner);
    last = `${inner}/document-${digits(index % FILES_IN_A_FOLDER)}.txt`;
    const mt = `17000${digits(index % 1000)}0.123456789`;
    const mode = changed > 0 && index % changed === 0 ? 0o600 : 0o644;
    const sha = index === files - 1 ? lastSha : hash('sha256', String(index));
    const dat = { key: contentKey(sha), ver: index === files - 1 ? version : sha.slice(0, 32) };
    await add({ typ: 'f', path: last, ...owner, mode, mt, dat, sha, size: content.length });
  }
  await spool.append(OwnMemory.of(Buffer.from(lines.join(''))));
  const { path, size, md5 } = await spool.finish((sha256) =>
    Buffer.from(
      formatLine({
        typ: 'end',
        outcome: 'complete',
        counts,
        bytes: counts.f * content.length,
        stored: { objects: 1, bytes: content.length },
        requests: { put: 1 },
        sha256,
      }),
    ),
  );
  const pieces = [{ path, start: 0, end: size }];
  await store.put({ key: manifestKey(backup, run, 'complete'), body: { pieces, size, md5 }, retention });
  rmSync(path);
  await store.close();
  return { last, entries: counts.d + counts.f };
}

function hash(algorithm: string, data: string | Buffer): string {
  return createHash(algorithm).update(data).digest('hex');
}

function digits(number: number): string {
  return String(number).padStart(4, '0');
}
