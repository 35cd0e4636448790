import { describe, expect, it } from 'vitest';
import { putManifest } from '#src/archive/put-manifest.js';
import { MemoryStore } from '#src/store/memory.js';
import type { ListPage, ObjectStore, PutRequest } from '#src/store/port.js';
import { StoreError } from '#src/store/store-error.js';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';
import { bodyOf } from '../../kit/bodies.js';
import { type Fault, FaultyStore } from '../../kit/faulty-store.js';
import { changed } from '../../kit/store-wrappers.js';

const REQUEST: PutRequest = { key: 'manifests/t/run', body: bodyOf('manifest'), retention: undefined };
const LOST: Fault = { request: 'put', when: 'after' };

/** A store in memory that says of itself that answers get lost on the way to it. */
function remote(faults: Fault[] = [], etags: 'md5' | 'opaque' = 'md5') {
  const memory = new MemoryStore();
  const inner = new FaultyStore(memory, faults);
  return { memory, inner, store: changed(inner, { etags }) };
}

function kinds(inner: FaultyStore): string[] {
  return inner.seen.map(({ request }) => request);
}

describe('a manifest', () => {
  it('is listed once after its PUT', async () => {
    const { store, inner, memory } = remote();
    const { version } = await putManifest(store, REQUEST, {});
    expect(kinds(inner)).toEqual(['put', 'list']);
    expect((await memory.list({ prefix: '' })).versions).toMatchObject([{ version }]);
  });

  it('is not, where nothing can be lost', async () => {
    const inner = new FaultyStore(new MemoryStore(), []);
    await putManifest(inner, REQUEST, {});
    expect(kinds(inner)).toEqual(['put']);
    const failing = new FaultyStore(new MemoryStore(), [LOST]);
    await expect(putManifest(failing, REQUEST, {})).rejects.toThrow('a fault that was asked for');
    expect(kinds(failing)).toEqual(['put']);
  });

  it('whose answer was lost is stored where the listing shows it: readers take the oldest version', async () => {
    const { store, memory } = remote([LOST]);
    await memory.put(REQUEST);
    const [first] = (await memory.list({ prefix: '' })).versions;
    expect(await putManifest(store, REQUEST, {})).toEqual({ version: first?.version });
  });

  it('is looked for again where it is not shown at once', async () => {
    const { store, inner } = remote();
    let looks = 0;
    const late = changed(store, {
      etags: 'md5',
      list: async (request): Promise<ListPage> => {
        const page = await inner.list(request);
        return ++looks < 3 ? { versions: [], next: undefined } : page;
      },
    });
    await putManifest(late, REQUEST, {});
    expect(looks).toBe(3);
  });

  const unsure = {
    code: 'STORE_FAILED',
    exitCode: 1,
    message: expect.stringContaining('may have been stored'),
  };

  it.each([
    ['is not shown', [{ request: 'put', when: 'before' }]],
    ['cannot be looked for', [{ request: 'list', when: 'before' }]],
    [
      'may not be looked for',
      [{ request: 'list', when: 'before', error: () => new StoreError('ACCESS_DENIED', 'no') }],
    ],
  ] as [string, Fault[]][])('that %s may have been stored', async (_, faults) => {
    const { store } = remote(faults);
    await expect(putManifest(store, REQUEST, { withinMs: 300 })).rejects.toMatchObject(unsure);
  });

  it('that is refused is not looked for', async () => {
    const error = () => new StoreError('ACCESS_DENIED', 'no');
    const { store, inner } = remote([{ request: 'put', when: 'before', error }]);
    await expect(putManifest(store, REQUEST, {})).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(kinds(inner)).toEqual(['put']);
  });

  it('that others were faster with is not what readers take', async () => {
    for (const [bytes, etags] of [
      ['MANIFEST', 'md5'],
      ['longer than it', 'md5'],
      ['longer than it', 'opaque'],
    ] as const) {
      const { store, memory } = remote([], etags);
      memory.putForeign({ key: REQUEST.key, bytes: Buffer.from(bytes) });
      await expect(putManifest(store, REQUEST, { withinMs: 300 })).rejects.toMatchObject(unsure);
    }
  });

  it('is known by its size alone where ETags say nothing', async () => {
    const { store, memory } = remote([LOST], 'opaque');
    memory.putForeign({ key: REQUEST.key, bytes: Buffer.from('manifest'), etag: '0'.repeat(32) });
    await putManifest(store, REQUEST, {});
  });

  it('of which the answer named no version, and the listing does: the store does not do', async () => {
    const { store } = remote();
    const nameless = changed(store, {
      etags: 'md5',
      put: async (request) => {
        await store.put(request);
        return { version: 'null' };
      },
    });
    await expect(putManifest(nameless, REQUEST, { withinMs: 300 })).rejects.toMatchObject({
      code: 'STORE_UNSUITABLE',
    });
  });
});

describe('a run', () => {
  function machineOver(faults: Fault[]): BackupMachine {
    const machine = new BackupMachine();
    machine.write('file', 'content of it');
    machine.store = over(machine, faults);
    return machine;
  }

  function over(machine: BackupMachine, faults: Fault[]): ObjectStore {
    return changed(new FaultyStore(machine.memory, faults), { etags: 'md5' });
  }

  it('whose manifest may have been stored adopts no catalog, and the next one uses what it stored', async () => {
    const machine = machineOver([{ request: 'list', key: /^manifests\/test-backup\/./, when: 'before' }]);
    await expect(machine.archive({ manifestShownMs: 300 })).rejects.toThrow('may have been stored');
    machine.store = over(machine, []);
    const { summary } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'complete', read: { files: 1 }, stored: { objects: 0 } });
  });

  it('in which nothing changed sends the fence, the manifest and one listing of it', async () => {
    const machine = machineOver([]);
    await machine.archive();
    const { asked } = await machine.archive();
    const [, put, shown] = asked.filter(({ key }) => key.startsWith('manifests/'));
    expect(asked.map(({ kind }) => kind).filter((kind) => kind !== 'list')).toEqual(['put']);
    expect([put?.kind, shown?.kind]).toEqual(['put', 'list']);
    expect(shown?.key).toBe(put?.key);
    // The seventh of the objects that is asked after each night is the rest.
    expect(asked.length).toBeLessThanOrEqual(4);
  });

  it('foretells that listing when it is a dry one', async () => {
    const machine = machineOver([]);
    // A file as young as that would be read again.
    await pastTheTick();
    await machine.archive();
    const { summary } = await machine.archive({ dryRun: true });
    const before = summary.requests.list ?? 0;
    expect(summary.estimate?.requests.least.list ?? 0).toBe(before + 1);
    expect(summary.estimate?.requests.most.list ?? 0).toBe(before + 1);
  });
});
