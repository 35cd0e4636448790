import { createHash, randomBytes } from 'node:crypto';
import { failureOf, verify } from '#src/audit/verify.js';
import type { VerifyResult } from '#src/audit/verify-options.js';
import { machineId } from '#src/catalog/machine-id.js';
import type { FileEntry, ObjectRef } from '#src/manifest/types.js';
import type { ObjectStore } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine } from '../../kit/backup-machine.js';
import { damaged } from '../../kit/store-wrappers.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { Thief } from '../../kit/thief.js';

/** A machine with two bundles: one content is in both of its runs. */
async function backedUp() {
  const machine = new BackupMachine();
  const { content } = machine.settings;
  machine.settings = {
    ...machine.settings,
    content: { ...content, bundleBelow: 4096, blockSize: 64 * 1024 },
  };
  for (let index = 0; index < 30; index++) machine.write(`f${index}`, `content ${index} `.repeat(index));
  await machine.archive();
  machine.now += 1000;
  machine.write('f3', 'changed');
  machine.write('random', randomBytes(3000));
  // Its last block is a content that a bundle holds already.
  machine.write('long', Buffer.concat([randomBytes(64 * 1024), Buffer.from('content 5 '.repeat(5))]));
  const { summary } = await machine.archive();
  return { machine, entries: await machine.entries(summary) };
}

async function verified(store: ObjectStore, readData?: number): Promise<VerifyResult> {
  return await verify({ store, readData, spoolFolder: temporaryFolder() });
}

/** A run of someone else's making, which names the one file, changed. */
async function withChanged(change: (file: FileEntry & { dat: ObjectRef }) => void) {
  const { machine, entries } = await backedUp();
  const file = structuredClone(entries.get('f20')) as FileEntry & { dat: ObjectRef };
  change(file);
  const thief = new Thief(machine.memory, () => machine.now, machineId(machine.statePath));
  thief.retention = null;
  thief.storeManifest([file]);
  const result = await verified(machine.store, 100);
  return { result, file, unread: await verified(machine.store) };
}

describe('verify, of bundles', () => {
  it('proves each content that runs name in them, and reads each bundle once', async () => {
    const { machine, entries } = await backedUp();
    const long = entries.get('long') as FileEntry;
    expect((long.dat as ObjectRef[])[1]).toHaveProperty('off');
    const result = await verified(machine.store, 100);
    expect(failureOf(result)).toBeUndefined();
    expect(result.checked).toMatchObject({ existence: 3, data: 3 });
  });

  it('finds a bundle that holds other bytes, by reading only', async () => {
    const { machine, entries } = await backedUp();
    const { key, ver } = (entries.get('f20') as FileEntry).dat as ObjectRef;
    const chunks: Buffer[] = [];
    for await (const chunk of await machine.store.get(key, ver)) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    bytes[600] = (bytes[600] ?? 0) ^ 1;
    const store = damaged(machine.store, key, bytes);
    expect(failureOf(await verified(store))).toBeUndefined();
    const result = await verified(store, 100);
    expect(failureOf(result)?.code).toBe('DAMAGED');
    expect(result.findings).toMatchObject([{ kind: 'damaged', key }]);
    expect(result.findings[0]?.paths.map(({ path }) => path)).toContain(`${machine.tree}/f20`);
  });

  it.each<[string, (file: FileEntry & { dat: ObjectRef }) => void]>([
    ['another place', ({ dat }) => (dat.off = (dat.off ?? 0) + 512)],
    ['a place behind the end', ({ dat }) => (dat.off = 512 * 100_000)],
    ['another length', ({ dat }) => (dat.len = (dat.len ?? 0) - 1)],
    ['another encoding', ({ dat }) => delete dat.enc],
    ['another content', (file) => (file.sha = createHash('sha256').update('x').digest('hex'))],
    ['another size', (file) => (file.size = (file.size ?? 0) + 1)],
  ])('finds a run that names %s in one', async (_what, change) => {
    const { result, file, unread } = await withChanged(change);
    expect(failureOf(unread)).toBeUndefined();
    expect(failureOf(result)?.code).toBe('DAMAGED');
    expect(result.findings).toMatchObject([{ kind: 'damaged', key: file.dat.key }]);
  });

  it('says nothing of the same run unchanged', async () => {
    const { result } = await withChanged(() => undefined);
    expect(failureOf(result)).toBeUndefined();
  });
});
