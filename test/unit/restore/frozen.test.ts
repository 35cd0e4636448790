import { GetObjectCommand, InvalidObjectState, RestoreObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ManifestLine } from '#src/manifest/types.js';
import { FrozenObjects } from '#src/restore/frozen.js';
import { restoreSnapshots } from '#src/restore/snapshots.js';
import { restoreToTar } from '#src/restore/tar.js';
import { thaw } from '#src/restore/thaw.js';
import { type ColdStorage, FrozenObjectError, type ThawRequest } from '#src/store/cold.js';
import { openStore } from '#src/store/open.js';
import { s3ClientDefaults } from '#src/store/s3-client.js';
import { KEY, manifestOf, sha256 } from '../manifest/build-manifest.js';
import { own, Scene } from './scene.js';

describe('restoring what is frozen', () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = await Scene.make();
  });
  afterEach(() => scene.remove());

  const freeze = (line: ManifestLine, storageClass = 'GLACIER'): void => {
    const { dat } = line as { dat: { key: string; ver: string } | { key: string; ver: string }[] };
    for (const { key, ver } of Array.isArray(dat) ? dat : [dat])
      scene.store.replaced.set(`${key}@${ver}`, () => {
        throw new FrozenObjectError(`reading ${key}`, storageClass, undefined);
      });
  };

  it('restores the rest, however much is frozen, and tells of it once with objects, bytes and class', async () => {
    const lines = Array.from({ length: 60 }, (_, index) =>
      scene.file(`/f${10 + index}`, `content ${10 + index}`, own),
    );
    for (const line of lines.slice(0, 50)) freeze(line);
    const frozen = new FrozenObjects();
    const summary = await scene.restore(lines, { frozen });
    expect(readdirSync(scene.target)).toHaveLength(10);
    expect(summary).toMatchObject({ failed: 50, frozen: 50, problemCounts: { failure: 1 } });
    expect(summary.problems).toMatchObject([
      { code: 'frozen', message: expect.stringMatching(/50 files.*50 objects of GLACIER with 500 bytes/) },
    ]);
    expect(frozen.counts).toEqual({ GLACIER: { objects: 50, bytes: 500 } });
  });

  it('counts an object once, a bundle with all its members, and all blocks of a file', async () => {
    const bundle = { ...scene.object('abcdef'), len: 3 };
    const members = ['abc', 'def'].map((text, index) => ({
      ...scene.file(`/m${index}`, text, own),
      dat: { ...bundle, off: 3 * index },
    }));
    const same = ['/s1', '/s2'].map((path) => scene.file(path, 'same', own));
    const blocks = ['one', 'four'].map((text) => ({ ...scene.object(text), size: text.length }));
    const long = { ...scene.file('/z', 'onefour', own), dat: blocks };
    for (const line of [...members, ...same.slice(0, 1)]) freeze(line);
    freeze(long, 'DEEP_ARCHIVE');
    scene.store.replaced.delete(`${blocks[1]?.key}@${blocks[1]?.ver}`);
    const frozen = new FrozenObjects();
    // Each entry has an object version of its own here; one object for two paths is one key and version.
    const shared = same.map((line) => ({ ...line, dat: same[0]?.dat ?? null }));
    const summary = await scene.restore([...members, ...shared, long], { frozen });
    expect(summary.frozen).toBe(5);
    expect(frozen.counts).toEqual({
      GLACIER: { objects: 2, bytes: 6 + 4 },
      DEEP_ARCHIVE: { objects: 2, bytes: 7 },
    });
  });

  it('goes on later with what is there', async () => {
    const lines = ['/a', '/b'].map((path) => scene.file(path, path, own));
    for (const line of lines) freeze(line);
    await scene.restore(lines);
    scene.store.replaced.clear();
    expect(await scene.restore(lines)).toMatchObject({ failed: 0, frozen: 0, done: { create: 2 } });
    expect(readFileSync(join(scene.target, 'a'), 'utf8')).toBe('/a');
  });

  it('leaves frozen files out of a tar, and tells of them', async () => {
    const lines = ['/a', '/b'].map((path) => scene.file(path, path, own));
    for (const line of lines.slice(0, 1)) freeze(line);
    const frozen = new FrozenObjects();
    const summary = await restoreToTar({
      store: scene.store,
      run: { key: KEY, version: scene.store.add(KEY, manifestOf(lines)) },
      spoolFolder: scene.spool,
      frozen,
      write: async () => undefined,
    });
    expect(summary).toMatchObject({ failed: 1, frozen: 1, problems: [{ code: 'frozen' }] });
    expect(frozen.size).toBe(1);
  });

  it('tells of frozen snapshots', async () => {
    const snapshot = {
      typ: 's' as const,
      name: 'db',
      dat: scene.object('dump'),
      sha: sha256('dump'),
      size: 4,
    };
    freeze(snapshot);
    const frozen = new FrozenObjects();
    const run = { key: KEY, version: scene.store.add(KEY, manifestOf([snapshot])) };
    const into = join(scene.folder, 'dumps');
    const summary = await restoreSnapshots({
      store: scene.store,
      run,
      into,
      spoolFolder: scene.spool,
      frozen,
    });
    expect(summary.problems).toMatchObject([{ code: 'frozen', source: 'db' }]);
    expect(frozen.counts).toEqual({ GLACIER: { objects: 1, bytes: 4 } });
  });
});

describe('thaw', () => {
  const objectsOf = (count: number): FrozenObjects => {
    const objects = new FrozenObjects();
    for (let index = 0; index < count; index += 1)
      objects.add({ key: `content/${index}`, ver: 'v' }, 10, 'GLACIER');
    return objects;
  };

  it('asks for each object once, and counts what became of it', async () => {
    const asked: [string, ThawRequest][] = [];
    const answers = ['asked', 'under-way', 'readable'] as const;
    const cold: ColdStorage = {
      thaw: async (key, _version, request) => {
        asked.push([key, request]);
        return answers[asked.length % 3] ?? 'asked';
      },
    };
    const summary = await thaw({ cold, objects: objectsOf(60), tier: 'bulk', days: 3 });
    expect(new Set(asked.map(([key]) => key)).size).toBe(60);
    expect(asked[0]?.[1]).toEqual({ tier: 'bulk', days: 3, storageClass: 'GLACIER' });
    expect(summary.done).toEqual(
      Object.fromEntries(answers.map((one) => [one, { objects: 20, bytes: 200 }])),
    );
  });

  it('stops where the right to ask is missing, and else goes on after a failure', async () => {
    let calls = 0;
    const failing = (code: 'ACCESS_DENIED' | 'NOT_FOUND'): ColdStorage => ({
      thaw: async (key) => {
        calls += 1;
        if (key !== 'content/0') return 'asked';
        const { SysbackupError } = await import('#src/errors.js');
        throw new SysbackupError(code, `${code} ${key}`);
      },
    });
    const missing = await thaw({ cold: failing('NOT_FOUND'), objects: objectsOf(10), tier: 'bulk', days: 1 });
    expect([missing.done.asked.objects, missing.problems]).toMatchObject([9, [{ code: 'not-thawed' }]]);
    calls = 0;
    const denied = thaw({ cold: failing('ACCESS_DENIED'), objects: objectsOf(500), tier: 'bulk', days: 1 });
    await expect(denied).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(calls).toBeLessThan(100);
  });
});

describe('a bucket', () => {
  const s3 = mockClient(S3Client);
  afterEach(() => s3.reset());
  const opened = async () =>
    await openStore(
      { kind: 's3', bucket: 'b', prefix: 'p/', client: { ...s3ClientDefaults(), region: 'us-east-1' } },
      { maxAttempts: 1 },
    );
  const failure = (name: string): Error =>
    Object.assign(new Error(name), { name, $metadata: { httpStatusCode: 409 } });
  const request: ThawRequest = { tier: 'bulk', days: 5, storageClass: 'GLACIER' };
  const answer = (httpStatusCode: number) => ({ $metadata: { httpStatusCode } });

  it('says of a read that the object is frozen, and in which class', async () => {
    s3.on(GetObjectCommand).rejects(
      new InvalidObjectState({
        message: 'no',
        StorageClass: 'DEEP_ARCHIVE',
        $metadata: { httpStatusCode: 403 },
      }),
    );
    const { store } = await opened();
    const error: unknown = await store.get('content/x', 'v').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FrozenObjectError);
    expect(error).toMatchObject({ storageClass: 'DEEP_ARCHIVE', hint: expect.stringContaining('--thaw') });
  });

  it('asks for one version, with tier and days, and counts that', async () => {
    s3.on(RestoreObjectCommand).resolves(answer(202));
    const { cold, requests } = await opened();
    expect(await cold?.thaw('content/x', 'v', request)).toBe('asked');
    expect(s3.commandCalls(RestoreObjectCommand)[0]?.args[0].input).toEqual({
      Bucket: 'b',
      Key: 'p/content/x',
      VersionId: 'v',
      RestoreRequest: { Days: 5, GlacierJobParameters: { Tier: 'Bulk' } },
    });
    expect(requests()).toEqual({ thaw: 1 });
  });

  it.each([
    ['under-way', failure('RestoreAlreadyInProgress')],
    ['readable', failure('InvalidObjectState')],
    ['readable', failure('ObjectAlreadyInActiveTierError')],
  ])('says %s where S3 answers %s', async (state, error) => {
    s3.on(RestoreObjectCommand).rejects(error);
    expect(await (await opened()).cold?.thaw('content/x', 'v', request)).toBe(state);
  });

  it('says readable where there was a copy', async () => {
    s3.on(RestoreObjectCommand).resolves(answer(200));
    expect(await (await opened()).cold?.thaw('content/x', 'v', request)).toBe('readable');
  });

  it('names no days for what Intelligent-Tiering archived', async () => {
    s3.on(RestoreObjectCommand).resolves(answer(202));
    await (await opened()).cold?.thaw('content/x', 'v', { ...request, storageClass: 'INTELLIGENT_TIERING' });
    expect(s3.commandCalls(RestoreObjectCommand)[0]?.args[0].input.RestoreRequest).toEqual({
      GlacierJobParameters: { Tier: 'Bulk' },
    });
  });

  it('refuses at once what DEEP_ARCHIVE does not have, and names the right that is missing', async () => {
    const { cold } = await opened();
    const expedited = cold?.thaw('content/x', 'v', {
      ...request,
      tier: 'expedited',
      storageClass: 'DEEP_ARCHIVE',
    });
    await expect(expedited).rejects.toMatchObject({ code: 'USAGE' });
    s3.on(RestoreObjectCommand).rejects(failure('AccessDenied'));
    await expect(cold?.thaw('content/x', 'v', request)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('s3:RestoreObject'),
    });
  });

  it('tries again after a failure that passes', async () => {
    s3.on(RestoreObjectCommand).rejectsOnce(failure('SlowDown')).resolves(answer(202));
    const { cold, requests } = await openStore(
      { kind: 's3', bucket: 'b', client: { ...s3ClientDefaults(), region: 'us-east-1' } },
      { pause: async () => undefined },
    );
    expect(await cold?.thaw('content/x', 'v', request)).toBe('asked');
    expect(requests()).toEqual({ thaw: 2 });
  });
});
