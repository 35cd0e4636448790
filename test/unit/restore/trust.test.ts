import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listBackups } from '#src/audit/list.js';
import { resolveRun } from '#src/manifest/resolve-run.js';
import type { StoredRun } from '#src/manifest/runs.js';
import { restore } from '#src/restore/restore.js';
import { MemoryStore } from '#src/store/memory.js';
import { directory, file, header, manifestOf, sha256 } from '../manifest/build-manifest.js';
import { own, Scene } from './scene.js';

const START = Date.parse('2026-01-02T03:00:00Z');
const HOUR = 3_600_000;
const RUN = '20260102T030405Z-abcd0001';

let scene: Scene;
let store: MemoryStore;
let now: number;
beforeEach(async () => {
  scene = await Scene.make();
  now = START;
  store = new MemoryStore({ now: () => now });
});
afterEach(() => scene.remove());

const keyOf = (run: string): string => `manifests/host-backup/${run}.complete.jsonl.gz`;

/** Stores a run of one file under its key; anyone with the right to add objects can do so. */
function addRun(run: string, content: string): void {
  now += HOUR;
  const key = `content/${sha256(content)}`;
  const { version } = store.putForeign({ key, bytes: Buffer.from(content) });
  const lines = content === '' ? [] : [file('/f', content, { ...own, dat: { key, ver: version } })];
  const bytes = manifestOf(lines, {}, { ...header, run });
  store.putForeign({ key: keyOf(run), bytes });
}

async function restored(run: StoredRun): Promise<string> {
  const { target, spool } = scene;
  const summary = await restore({
    store,
    run,
    target,
    spoolFolder: spool,
    numericOwners: true,
    overwrite: 'always',
  });
  expect(summary.failed).toBe(0);
  return readFileSync(join(scene.target, 'f'), 'utf8');
}

describe('what someone with the rights of the backed-up machine put into the bucket', () => {
  it('a second version of a manifest is never read', async () => {
    addRun(RUN, 'right');
    addRun(RUN, 'wrong');
    const warnings: string[] = [];
    const run = await resolveRun(store, RUN, {
      onEvent: (event) => event.type === 'log' && warnings.push(event.message),
    });
    expect(await restored(run)).toBe('right');
    expect(warnings).toEqual([expect.stringContaining('only the first counts')]);
  });

  it('delete markers on manifest and content hide nothing', async () => {
    addRun(RUN, 'right');
    for (const key of [keyOf(RUN), `content/${sha256('right')}`]) store.addDeleteMarker(key);
    expect(await restored(await resolveRun(store, 'latest'))).toBe('right');
    expect(await listBackups(store, { footers: true })).toMatchObject([
      { run: RUN, bytes: 5, problem: undefined },
    ]);
  });

  it('a newer version of a content with wrong bytes is not taken', async () => {
    addRun(RUN, 'right');
    store.putForeign({ key: `content/${sha256('right')}`, bytes: Buffer.from('wrong') });
    expect(await restored(await resolveRun(store, 'host-backup'))).toBe('right');
  });

  it('an empty manifest, dated in the future or not, is not what `latest` means', async () => {
    addRun(RUN, 'right');
    addRun('20990101T000000Z-abcd0002', '');
    addRun('20260102T050000Z-abcd0003', '');
    expect(await restored(await resolveRun(store, 'latest'))).toBe('right');
  });

  it('a manifest that names a content whose bytes were wrong from the start is refused', async () => {
    const key = `content/${sha256('right')}`;
    const { version } = store.putForeign({ key, bytes: Buffer.from('wrong') });
    const lines = [directory('/', own), file('/f', 'right', { ...own, dat: { key, ver: version } })];
    store.putForeign({ key: keyOf(RUN), bytes: manifestOf(lines, {}, { ...header, run: RUN }) });
    const run = await resolveRun(store, RUN);
    const { target, spool } = scene;
    const summary = await restore({ store, run, target, spoolFolder: spool });
    expect(summary).toMatchObject({ failed: 1, problems: [{ code: 'damaged' }] });
    expect(readdirSync(target)).toEqual([]);
  });
});
