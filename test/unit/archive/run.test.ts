import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { libdeflate } from '#src/content/libdeflate.js';
import { SysbackupError } from '#src/errors.js';
import type { FileEntry } from '#src/manifest/types.js';
import { MemoryStore } from '#src/store/memory.js';
import { listAll, type ObjectStore } from '#src/store/port.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, pastTheTick } from '../../kit/backup-machine.js';

const DAY = 86_400_000;

/** Sets times far enough back that the next look need not doubt them. */
function settle(...paths: string[]): void {
  for (const path of paths) utimesSync(path, 1_600_000_000, 1_600_000_000);
}

async function keys(store: ObjectStore, prefix = ''): Promise<string[]> {
  const found = [];
  for await (const { key } of listAll(store, { prefix })) found.push(key);
  return found;
}

describe('a first run', () => {
  it('stores each content once, a manifest at the end, and locks all of it', async () => {
    const machine = new BackupMachine();
    machine.write('a/one', 'same content');
    machine.write('b/two', 'same content');
    machine.write('c/other', 'other content');
    machine.write('empty', '');
    const { summary, asked } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    expect(summary.counts).toMatchObject({ f: 4, s: 0, problems: 0 });
    expect(await keys(machine.store, 'content/')).toHaveLength(2);
    expect(asked.at(-1)).toEqual({ kind: 'put', key: summary.manifest?.key });
    const needed = Math.ceil(machine.now / 1000) + 14 * 86_400;
    for await (const { key, version } of listAll(machine.store, { prefix: '' })) {
      const lock = await machine.store.getRetention(key, version);
      expect(lock?.mode).toBe('GOVERNANCE');
      expect(lock?.until).toBeGreaterThanOrEqual(needed);
      expect(lock?.until).toBeLessThanOrEqual(needed + 7 * 86_400);
    }
  });

  it('gives every path of an inode the reading of one', async () => {
    const machine = new BackupMachine();
    const first = machine.write('first', randomBytes(200_000));
    linkSync(first, join(machine.tree, 'second'));
    const { summary } = await machine.archive();
    const entries = await machine.entries(summary);
    const [one, two] = [entries.get('first') as FileEntry, entries.get('second') as FileEntry];
    expect(one.id).toBeDefined();
    expect(two).toMatchObject({ id: one.id, dat: one.dat, sha: one.sha });
    expect(summary.read.files).toBe(1);
  });

  it('names the same block in a row once, with a count', async () => {
    const machine = new BackupMachine();
    machine.write('sparse', Buffer.alloc(64 * 1024 * 5 + 10));
    const { summary } = await machine.archive();
    const entry = (await machine.entries(summary)).get('sparse') as FileEntry;
    expect(entry.dat).toMatchObject([{ size: 64 * 1024, n: 5 }, { size: 10 }]);
    expect(entry.size).toBe(64 * 1024 * 5 + 10);
  });

  it('stores nothing of a dump that went to standard output, and is partial, unless that may write nothing', async () => {
    const machine = new BackupMachine();
    machine.snapshotter('dump', `seq -f 'secret-%.0f' 100000`);
    const { summary, problems } = await machine.archive();
    expect(summary).toMatchObject({ outcome: 'partial', counts: { s: 0 } });
    expect(problems).toMatchObject([{ severity: 'failure', code: 'snapshot-empty', source: 'dump' }]);
    expect(JSON.stringify(await machine.lines(summary))).not.toContain('secret');
    expect(await keys(machine.store, 'snapshots/')).toEqual([]);

    machine.settings = { ...machine.settings, programs: { timeout: undefined, allowEmpty: ['dump'] } };
    const allowed = await machine.archive();
    expect(allowed.summary).toMatchObject({ outcome: 'complete', counts: { s: 1 } });
  });

  it('has all of its problems in the manifest, however many they are', async () => {
    const machine = new BackupMachine();
    machine.picker('typos', `seq -f '/usr/no-such-folder/%.0f' 9000`);
    const { summary } = await machine.archive();
    expect(summary.outcome).toBe('partial');
    const paths = (await machine.lines(summary)).flatMap((line) =>
      line.typ === 'problem' ? [line.path] : [],
    );
    expect(paths).toHaveLength(9000);
    expect(new Set(paths)).toEqual(
      new Set(Array.from({ length: 9000 }, (_, index) => `/usr/no-such-folder/${index + 1}`)),
    );
  });

  it('is partial where a file cannot be read, and goes on', async () => {
    const machine = new BackupMachine();
    machine.write('good', 'x');
    machine.picker('wrong', `echo '${machine.tree}/never/was'; echo '${machine.tree}/good'`);
    utimesSync(machine.tree, 1_600_000_000, 1_600_000_000);
    const { summary, problems } = await machine.archive();
    expect(summary.outcome).toBe('partial');
    expect(summary.manifest?.key).toContain('.partial.');
    expect(problems).toMatchObject([{ severity: 'failure', code: 'missing', source: 'wrong' }]);
    expect((await machine.entries(summary)).has('good')).toBe(true);
  });

  it('refuses a store that does not lock', async () => {
    const machine = new BackupMachine();
    machine.store = new MemoryStore({ objectLock: false });
    await expect(machine.archive()).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    expect(await keys(machine.store)).toEqual([]);
  });

  it('stops at once when it is refused a PUT, and leaves no manifest', async () => {
    const machine = new BackupMachine();
    machine.write('a', 'a');
    machine.store = Object.assign(Object.create(machine.memory) as ObjectStore, {
      put: () => Promise.reject(new SysbackupError('ACCESS_DENIED', 'no')),
      list: machine.memory.list.bind(machine.memory),
      now: machine.memory.now.bind(machine.memory),
      capabilities: machine.memory.capabilities.bind(machine.memory),
    });
    await expect(machine.archive()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
    expect(await keys(machine.memory)).toEqual([]);
  });

  it('takes snapshots with what they say of themselves, and stores nothing of one that fails', async () => {
    const machine = new BackupMachine();
    machine.snapshotter('good', 'printf data >&$1; echo "Größe"; echo "::restore-through:: cat >/dev/null"');
    machine.snapshotter('bad', 'printf half >&$1; echo last words >&2; exit 3');
    const { summary, problems } = await machine.archive();
    expect(summary.outcome).toBe('partial');
    expect(problems).toMatchObject([{ source: 'bad', code: 'snapshotter-failed' }]);
    expect(problems[0]?.message).toContain('last words');
    const snapshots = await keys(machine.store, 'snapshots/');
    expect(snapshots).toEqual([`snapshots/test-backup/${summary.run}-good`]);
    const entry = (await machine.lines(summary)).find((line) => line.typ === 's');
    expect(entry).toMatchObject({
      name: 'good',
      description: 'Größe',
      restore_through: 'cat >/dev/null',
      size: 4,
    });
  });
});

describe('the next run', () => {
  it('opens no file of an unchanged tree and sends the fence’s LIST, the share of asking and one PUT', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 50; index++) machine.write(`d${index % 7}/f${index}`, `content ${index}`);
    symlinkSync('d1/f1', join(machine.tree, 'link'));
    await pastTheTick();
    const first = await machine.archive();
    const second = await machine.archive();
    expect(second.summary.read.files).toBe(0);
    expect(second.summary.counts).toEqual(first.summary.counts);
    expect(second.summary.bytes).toBe(first.summary.bytes);
    expect(second.asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    expect(second.asked.filter(({ key }) => key.startsWith('manifests/')).map(({ kind }) => kind)).toEqual([
      'list',
      'put',
    ]);
    expect(second.asked.every(({ kind }) => kind === 'list' || kind === 'put')).toBe(true);
    expect(await machine.entries(second.summary)).toEqual(await machine.entries(first.summary));
  });

  it('writes the same entries as a run without memory, whatever changed in between', async () => {
    const machine = new BackupMachine();
    const path = (index: number) => `d${index % 13}/f${String(index).padStart(4, '0')}`;
    for (let index = 0; index < 1500; index++) machine.write(path(index), `content ${index % 700}`);
    await pastTheTick();
    await machine.archive();
    for (let round = 0; round < 4; round++) {
      for (let index = round; index < 1500; index += 97)
        rmSync(join(machine.tree, path(index)), { force: true });
      for (let index = round * 3; index < 1500; index += 211)
        machine.write(path(index), `changed ${round} ${index}`);
      for (let index = 0; index < 5; index++)
        machine.write(`d${index}/a-new-${round}-${index}`, `new ${index}`);
      chmodSync(join(machine.tree, 'd3'), 0o700 + round);
      await pastTheTick();
      const { summary } = await machine.archive();
      const fresh = await machine.archive({
        settings: { ...machine.settings, statePath: join(machine.folder, `state-${round}`) },
      });
      expect(await machine.entries(summary)).toEqual(await machine.entries(fresh.summary));
      expect(summary.read.files).toBeLessThan(60);
    }
  });

  it('does not believe a file whose times are not past when it is read', async () => {
    const machine = new BackupMachine();
    const path = machine.write('fresh', 'one');
    const soon = Date.now() / 1000 + 60;
    utimesSync(path, soon, soon);
    await machine.archive();
    expect((await machine.archive()).summary.read.files).toBe(1);
    settle(path);
    await pastTheTick();
    await machine.archive();
    expect((await machine.archive()).summary.read.files).toBe(0);
  });

  it('sends no content again that was moved or chmodded', async () => {
    const machine = new BackupMachine();
    const path = machine.write('before', 'moved content');
    await pastTheTick();
    await machine.archive();
    renameSync(path, join(machine.tree, 'after'));
    chmodSync(join(machine.tree, 'after'), 0o600);
    const { summary, asked } = await machine.archive();
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    expect((await machine.entries(summary)).get('after')).toMatchObject({ mode: 0o600 });
  });

  it('notices a store that was emptied, and stores everything anew', async () => {
    const machine = new BackupMachine();
    machine.write('a', 'content a');
    await pastTheTick();
    await machine.archive();
    machine.store = new MemoryStore({ now: () => machine.now });
    const { summary, warnings } = await machine.archive();
    expect(warnings.join()).toContain('emptied or replaced');
    expect(await keys(machine.store, 'content/')).toHaveLength(1);
    expect(summary.stored.objects).toBe(1);
  });

  it('forgets objects that are gone within seven runs, and stores them anew', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 40; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    await machine.archive();
    const all = [];
    for await (const version of listAll(machine.store, { prefix: 'content/' })) all.push(version);
    for (const { key, version } of all.slice(0, 20))
      machine.memory.deleteVersion(key, version, { bypassGovernance: true });
    expect(await keys(machine.store, 'content/')).toHaveLength(20);
    for (let run = 0; run < 7; run++) await machine.archive();
    expect(new Set(await keys(machine.store, 'content/')).size).toBe(40);
  });

  it('reports another machine under the same backup name', async () => {
    const machine = new BackupMachine();
    machine.write('a', 'a');
    await machine.archive();
    machine.now += DAY;
    machine.memory.putForeign({
      key: `manifests/test-backup/${new Date(machine.now).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-00000000.complete.jsonl.gz`,
      bytes: Buffer.from('x'),
    });
    const { warnings } = await machine.archive();
    expect(warnings.join()).toContain('another machine');
  });

  it('is broken when a picker prints nothing or under half, keeps its memory of files, and recovers', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 20; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    await machine.archive();
    machine.picker('tree', 'true');
    const empty = await machine.archive();
    expect(empty.summary.outcome).toBe('broken');
    expect(empty.problems).toMatchObject([{ code: 'picker-empty' }]);
    machine.picker('tree', `find '${machine.tree}'`);
    const back = await machine.archive();
    expect(back.summary.outcome).toBe('complete');
    expect(back.summary.read.files).toBe(0);
    machine.picker('tree', `find '${machine.tree}' -name '*1'`);
    expect((await machine.archive()).summary.outcome).toBe('broken');
    const allowed = { ...machine.settings, programs: { timeout: undefined, allowEmpty: ['tree'] } };
    machine.picker('tree', 'true');
    expect((await machine.archive({ settings: allowed })).summary.outcome).toBe('complete');
  });
});

describe('locks', () => {
  it('are renewed when they are due, and not before', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 30; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    await machine.archive();
    let renewals = 0;
    for (let day = 0; day < 28; day++) {
      machine.now += DAY;
      const { asked, summary } = await machine.archive();
      const now = asked.filter(({ kind }) => kind === 'put-retention');
      renewals += now.length;
      if (day < 3) expect(now).toEqual([]);
      expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
      for (const entry of (await machine.entries(summary)).values()) {
        if (entry.typ !== 'f' || entry.dat === null || Array.isArray(entry.dat)) continue;
        const lock = await machine.store.getRetention(entry.dat.key, entry.dat.ver);
        expect(lock?.until).toBeGreaterThanOrEqual(Math.ceil(machine.now / 1000) + 14 * 86_400);
      }
    }
    // Each object once in 4 to 8 days: half to all of seven days' slack, and the day it falls due on.
    expect(renewals).toBeGreaterThanOrEqual((30 * 28) / 8 - 30);
    expect(renewals).toBeLessThanOrEqual((30 * 28) / 4);
  });

  it('that will not be extended make the content be stored anew', async () => {
    const machine = new BackupMachine();
    machine.write('f', 'content');
    await pastTheTick();
    await machine.archive();
    machine.now += 10 * DAY;
    const { memory } = machine;
    machine.store = Object.assign(Object.create(memory) as ObjectStore, {
      put: memory.put.bind(memory),
      list: memory.list.bind(memory),
      now: memory.now.bind(memory),
      get: memory.get.bind(memory),
      getRetention: memory.getRetention.bind(memory),
      extendRetention: () => Promise.reject(new SysbackupError('ACCESS_DENIED', 'refused')),
    });
    const { summary, asked } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    expect(asked.map(({ kind }) => kind)).toContain('get-retention');
    expect(await keys(memory, 'content/')).toHaveLength(2);
    const entry = (await machine.entries(summary)).get('f') as FileEntry;
    const dat = entry.dat as { key: string; ver: string };
    expect((await memory.getRetention(dat.key, dat.ver))?.until).toBeGreaterThan(
      machine.now / 1000 + 14 * 86_400,
    );
  });

  it('are found longer than remembered when an extension is refused', async () => {
    const machine = new BackupMachine();
    machine.write('f', 'content');
    await pastTheTick();
    await machine.archive();
    for await (const { key, version } of listAll(machine.store, { prefix: 'content/' })) {
      await machine.store.extendRetention(key, version, {
        mode: 'GOVERNANCE',
        until: Math.ceil((machine.now + 100 * DAY) / 1000),
      });
    }
    machine.now += 10 * DAY;
    const { asked } = await machine.archive();
    expect(asked.map(({ kind }) => kind)).toContain('get-retention');
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    machine.now += DAY;
    expect((await machine.archive()).asked.map(({ kind }) => kind)).not.toContain('put-retention');
  });
});

describe('a lost catalog', () => {
  const catalogFiles = (machine: BackupMachine): string[] => {
    const own = join(
      machine.statePath,
      readdirSync(machine.statePath).find((name) => name.startsWith('test-backup')) ?? '',
    );
    const generation = readFileSync(join(own, 'current'), 'utf8').trim();
    return ['current', ...readdirSync(join(own, generation)).map((name) => join(generation, name))].map(
      (name) => join(own, name),
    );
  };

  it('costs requests, and no second copy of what a listing shows', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 30; index++) machine.write(`f${index}`, `content ${index}`);
    await machine.archive();
    rmSync(machine.statePath, { recursive: true });
    const { asked, summary } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    expect(asked.filter(({ kind }) => kind === 'put')).toHaveLength(1);
    expect(asked.filter(({ kind }) => kind === 'list').length).toBeLessThan(10);
    expect(await keys(machine.store, 'content/')).toHaveLength(30);
  });

  it.skipIf(libdeflate() === undefined).each([
    ['zlib', 'libdeflate'],
    ['libdeflate', 'zlib'],
  ] as const)(
    'uses what a machine with %s stored on one with %s (needs libdeflate.so.0)',
    async (there, here) => {
      const machine = new BackupMachine();
      const logs = (name: string) =>
        Array.from({ length: 2500 }, (_, line) => `${name} ${line}: ${(line * 7919) % 1013}\n`).join('');
      for (const name of ['a', 'b']) machine.write(name, logs(name));
      const archive = (gzipLibrary: typeof here) => {
        machine.settings = { ...machine.settings, content: { ...machine.settings.content, gzipLibrary } };
        return machine.archive();
      };
      await archive(there);
      const stored = await keys(machine.store, 'content/');
      rmSync(machine.statePath, { recursive: true });
      machine.write('c', logs('c'));
      const { asked, summary } = await archive(here);
      expect(summary.reused).toBe(stored.length);
      expect(asked.filter(({ kind, key }) => kind === 'put' && key.startsWith('content/')).length).toBe(
        (await keys(machine.store, 'content/')).length - stored.length,
      );
      const entries = await machine.entries(summary);
      for (const name of ['a', 'b', 'c']) {
        const { dat } = entries.get(name) as FileEntry;
        if (dat === null || Array.isArray(dat)) throw new Error('not one object');
        expect(dat.enc).toBe('gzip');
        const stored = await buffer(await machine.store.get(dat.key, dat.ver));
        expect(gunzipSync(stored).toString()).toBe(logs(name));
      }
    },
  );

  it('with share = no stores its own versions', async () => {
    const machine = new BackupMachine();
    machine.write('f', 'content');
    await machine.archive();
    rmSync(machine.statePath, { recursive: true });
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, share: false } };
    const { asked } = await machine.archive();
    // The name's own manifests, to know since when there is no complete one.
    expect(asked.filter(({ kind }) => kind === 'list')).toEqual([
      { kind: 'list', key: 'manifests/test-backup/' },
    ]);
    expect(await keys(machine.store, 'content/')).toHaveLength(2);
  });

  it('with bytes changed, cut or added anywhere never leads to a wrong manifest', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 12; index++) machine.write(`f${index}`, `content ${index}`);
    await pastTheTick();
    const first = await machine.archive();
    const expected = await machine.entries(first.summary);
    const whole = new Map(catalogFiles(machine).map((path) => [path, readFileSync(path)]));
    let unnoticed = 0;
    for (let round = 0; round < 60; round++) {
      // Each round begins with the same whole catalog, so that the damage is to what is read.
      const files = catalogFiles(machine);
      const target = files[round % files.length] ?? '';
      const bytes = readFileSync(target);
      const at = randomBytes(4).readUInt32LE() % Math.max(1, bytes.length);
      const kind = Math.floor(round / files.length) % 3;
      if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ 0x55;
      const damaged =
        kind === 1 ? bytes.subarray(0, at) : kind === 2 ? Buffer.concat([bytes, randomBytes(9)]) : bytes;
      writeFileSync(target, damaged);
      const { summary, warnings } = await machine.archive();
      expect(summary.outcome).toBe('complete');
      expect(await machine.entries(summary)).toEqual(expected);
      // The order of printing is a guess, and without it nothing is missing.
      if (warnings.length === 0 && !target.endsWith('/order')) unnoticed++;
    }
    // What goes unnoticed is behind the manifest's last member that is read, or harmless white space.
    expect(unnoticed).toBeLessThan(20);
    expect(whole.size).toBe(6);
    expect(await keys(machine.store, 'content/')).toHaveLength(12);
  });
});

describe('an interrupted run', () => {
  it('leaves no manifest, and the next one sends nothing again whose PUT was confirmed', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 20; index++)
      machine.write(`f${String(index).padStart(2, '0')}`, `content ${index}`);
    const { memory } = machine;
    let puts = 0;
    const failing: ObjectStore = Object.assign(Object.create(memory) as ObjectStore, {
      list: memory.list.bind(memory),
      now: memory.now.bind(memory),
      capabilities: memory.capabilities.bind(memory),
      put: async (request: Parameters<ObjectStore['put']>[0]) => {
        if (++puts > 11) throw new SysbackupError('STORE_FAILED', 'cut off');
        return await memory.put(request);
      },
    });
    await expect(machine.archive({ store: failing })).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await keys(memory, 'manifests/')).toEqual([]);
    expect(await keys(memory, 'content/')).toHaveLength(11);
    machine.settings = { ...machine.settings, content: { ...machine.settings.content, share: false } };
    const { summary } = await machine.archive();
    expect(summary.outcome).toBe('complete');
    expect(await keys(memory, 'content/')).toHaveLength(20);
    expect((await machine.archive()).summary.stored.objects).toBe(0);
  });

  it('stops at a signal with ABORTED and leaves its lock free', async () => {
    const machine = new BackupMachine();
    for (let index = 0; index < 20; index++) machine.write(`f${index}`, `content ${index}`);
    const stop = new AbortController();
    const stopping = machine.archive({
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === 'stored') stop.abort();
      },
    });
    await expect(stopping).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await keys(machine.store, 'manifests/')).toEqual([]);
    expect((await machine.archive()).summary.outcome).toBe('complete');
    expect(statSync(machine.statePath).mode & 0o777).toBe(0o700);
  });

  it('refuses to run beside another run', async () => {
    const machine = new BackupMachine();
    machine.write('f', 'x');
    let second: Promise<unknown> | undefined;
    await machine.archive({
      onEvent: (event) => {
        if (event.type === 'phase' && event.phase === 'pick')
          second = machine.archive().catch((error: unknown) => error);
      },
    });
    expect(await second).toMatchObject({ code: 'RUN_LOCKED', exitCode: 11 });
  });
});

describe('a snapshot that is too long for one PUT', () => {
  it('is stored as blocks and a list of them, which the manifest names as well', async () => {
    const machine = new BackupMachine();
    const content = randomBytes(150_000);
    writeFileSync(join(machine.folder, 'dump'), content);
    machine.snapshotter('long', `cat '${join(machine.folder, 'dump')}' >&$1; echo described`);
    const { summary } = await machine.archive({ putLimit: 100_000 });
    const entry = (await machine.lines(summary)).find((line) => line.typ === 's');
    if (entry?.typ !== 's' || !Array.isArray(entry.dat) || entry.index === undefined)
      throw new Error('no blocks');
    const parts: Buffer[] = [];
    for (const { key, ver } of entry.dat) {
      for await (const chunk of await machine.memory.get(key, ver)) parts.push(chunk as Buffer);
    }
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    const chunks: Buffer[] = [];
    for await (const chunk of await machine.memory.get(entry.index.key, entry.index.ver))
      chunks.push(chunk as Buffer);
    expect(JSON.parse(Buffer.concat(chunks).toString())).toMatchObject({ sha: entry.sha, dat: entry.dat });
    expect((await machine.memory.head(entry.index.key, entry.index.ver)).metadata).toMatchObject({
      'backup-output': 'described',
    });
  });
});
