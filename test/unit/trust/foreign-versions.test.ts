import { createHash, randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contentKey } from '#src/manifest/keys.js';
import { listRuns } from '#src/manifest/runs.js';
import { type ForeignPut, MemoryStore } from '#src/store/memory.js';
import { BackupMachine } from '../../kit/backup-machine.js';

/** A machine with one file whose right bytes someone else has put under their key. */
function afterForeignPut(put: Partial<ForeignPut>): BackupMachine {
  const machine = new BackupMachine();
  const bytes = randomBytes(500);
  const path = machine.write('file', bytes);
  utimesSync(path, 1_600_000_000, 1_600_000_000);
  const key = contentKey(createHash('sha256').update(bytes).digest('hex'));
  machine.memory.putForeign({ key, bytes, ...put });
  return machine;
}

describe('a version that another has put, with the right bytes', () => {
  it('and an ETag as of SSE-KMS, which looks like an MD5 and is none, is not used', async () => {
    const machine = afterForeignPut({ etag: randomBytes(16).toString('hex') });
    expect((await machine.archive()).summary.stored.objects).toBe(1);
  });

  it.each(['GLACIER', 'DEEP_ARCHIVE'])(
    'in the class %s, which cannot be read at once, is not used',
    async (frozen) => {
      const machine = afterForeignPut({ storageClass: frozen });
      expect((await machine.archive()).summary.stored.objects).toBe(1);
    },
  );

  it('in a class that can be read at once is used', async () => {
    const machine = afterForeignPut({ storageClass: 'STANDARD_IA' });
    expect((await machine.archive()).summary.stored.objects).toBe(0);
  });

  it('in a frozen class is used where this machine stores in that class itself', async () => {
    const machine = afterForeignPut({ storageClass: 'GLACIER' });
    const s3 = {
      prefix: '',
      forcePathStyle: true,
      requireObjectLock: true,
      storageClass: 'GLACIER',
      aws: {},
      cloudFormation: { export: 'unused' },
    };
    machine.settings = { ...machine.settings, destination: { kind: 's3', s3 } };
    expect((await machine.archive()).summary.stored.objects).toBe(0);
  });
});

describe("a version that another has put under this machine's last manifest's key", () => {
  it('is reported by the next run, which goes on as before', async () => {
    const machine = new BackupMachine();
    machine.write('file', 'content');
    const first = await machine.archive();
    machine.memory.putForeign({ key: first.summary.manifest?.key ?? '', bytes: Buffer.from('other') });
    const { summary, warnings } = await machine.archive();
    expect(warnings).toEqual([expect.stringContaining("someone else has this machine's rights")]);
    expect(summary).toMatchObject({ outcome: 'complete', stored: { objects: 0 } });
  });

  it('is not confused with the two versions that a PUT leaves whose answer was lost', async () => {
    const machine = new BackupMachine();
    machine.write('file', 'content');
    const { key } = await machine.archive().then(({ summary }) => summary.manifest ?? { key: '' });
    for await (const chunk of await machine.memory.get(
      key,
      (await listRuns(machine.memory))[0]?.version ?? '',
    ))
      machine.memory.putForeign({ key, bytes: chunk as Buffer });
    const warnings: string[] = [];
    await listRuns(machine.memory, {
      onEvent: (event) => event.type === 'log' && warnings.push(event.message),
    });
    expect([...warnings, ...(await machine.archive()).warnings]).toEqual([]);
  });
});

describe('a bucket without Object Lock', () => {
  it('that was good enough is refused once the settings say so, whatever the catalog remembers', async () => {
    const machine = new BackupMachine();
    machine.store = new MemoryStore({ now: () => machine.now, objectLock: false });
    machine.write('file', 'content');
    const s3 = {
      prefix: '',
      forcePathStyle: true,
      requireObjectLock: false,
      aws: {},
      cloudFormation: { export: 'unused' },
    };
    machine.settings = { ...machine.settings, destination: { kind: 's3', s3 } };
    expect((await machine.archive()).summary.lockedUntil).toBeUndefined();
    expect((await machine.archive()).summary.lockedUntil).toBeUndefined();
    machine.settings = {
      ...machine.settings,
      destination: { kind: 's3', s3: { ...s3, requireObjectLock: true } },
    };
    await expect(machine.archive()).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
  });
});
