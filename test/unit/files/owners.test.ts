import { describe, expect, it } from 'vitest';
import { OwnerIds, OwnerNames } from '#src/files/owners.js';
import type { RunProgram } from '#src/files/run-program.js';
import { output } from './scratch.js';

interface FakeAccount {
  name: string;
  id: number;
}

const ROOT = { name: 'root', id: 0 };

/** Answers as glibc's getent does, or as musl's: which ends at the first key that is missing. */
function fakeGetent(accounts: readonly FakeAccount[], kind: 'glibc' | 'musl' = 'glibc') {
  const calls: string[][] = [];
  const run: RunProgram = async (program, [database = '', ...keys]) => {
    expect(program).toBe('getent');
    calls.push([database, ...keys]);
    let stdout = '';
    let status = 0;
    for (const key of keys) {
      const account = /^\d+$/.test(key)
        ? accounts.find(({ id }) => id === Number(key))
        : accounts.find(({ name }) => name === key);
      if (account) stdout += `${account.name}:x:${account.id}:${account.id}:Ms A:/home:/bin/sh\n`;
      else status = 2;
      if (!account && kind === 'musl') break;
    }
    return { status, stdout: Buffer.from(stdout), stderr: Buffer.alloc(0) };
  };
  return { run, calls };
}

describe.each(['glibc', 'musl'] as const)("with %s's getent", (kind) => {
  it('finds names, and leaves numbers where there are none', async () => {
    const { run } = fakeGetent([ROOT, { name: 'alice', id: 1000 }, { name: 'toor', id: 7 }], kind);
    const names = new OwnerNames({ run });
    await names.resolve([99, 1000, 98, 0, 97, 7, 96], [5]);
    expect([99, 1000, 98, 0, 97, 7, 96].map((uid) => names.nameOfUser(uid))).toEqual([
      99,
      'alice',
      98,
      'root',
      97,
      'toor',
      96,
    ]);
    expect(names.nameOfGroup(5)).toBe(5);
    expect(names.failure).toBeUndefined();
  });

  it('finds ids, of aliases of root too', async () => {
    const { run } = fakeGetent([ROOT, { name: 'toor', id: 0 }, { name: 'alice', id: 1000 }], kind);
    const ids = new OwnerIds({ run });
    await ids.resolve(['toor', 'gone', 'alice', 'lost', 'root'], []);
    expect(['toor', 'gone', 'alice', 'lost', 'root'].map((name) => ids.uidOf(name, 4))).toEqual([
      0, 4, 1000, 4, 0,
    ]);
  });
});

describe('asking', () => {
  it('happens once per id, even when asked at the same time', async () => {
    const { run, calls } = fakeGetent([ROOT]);
    const names = new OwnerNames({ run });
    expect(names.nameOfUser(1)).toBeUndefined();
    await Promise.all([names.resolve([1, 2], []), names.resolve([2, 3], []), names.resolve([1], [1])]);
    await names.resolve([1, 2, 3], [1]);
    const asked = calls.flatMap(([database, ...keys]) =>
      keys.slice(0, -1).map((key) => `${database} ${key}`),
    );
    expect(asked.toSorted()).toEqual(['group 1', 'passwd 1', 'passwd 2', 'passwd 3']);
    expect(names.nameOfUser(3)).toBe(3);
  });

  it('splits what is too much for one command line', async () => {
    const { run, calls } = fakeGetent([ROOT, { name: 'last', id: 1999 }]);
    const names = new OwnerNames({ run });
    await names.resolve(
      Array.from({ length: 2000 }, (_, uid) => uid),
      [],
    );
    expect(names.nameOfUser(1999)).toBe('last');
    expect(Math.max(...calls.map((call) => call.length))).toBeLessThan(600);
    expect(calls.length).toBeLessThan(10);
  });

  it('that fails leaves numbers, and says why', async () => {
    const names = new OwnerNames({ run: () => Promise.reject(new Error('spawn getent ENOENT')) });
    await names.resolve([1], []);
    expect(names.nameOfUser(1)).toBe(1);
    expect(names.failure).toContain('ENOENT');

    const stuck = new OwnerIds({
      run: async () => ({ status: null, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }),
    });
    await stuck.resolve(['alice'], []);
    expect(stuck.uidOf('alice', 7)).toBe(7);
    expect(stuck.failure).toContain('stopped');
  });

  it('takes no name that is no UTF-8', async () => {
    const stdout = Buffer.from('j\xf6rg:x:1000:1000::/:/bin/sh\n', 'latin1');
    const names = new OwnerNames({ run: async () => ({ status: 0, stdout, stderr: Buffer.alloc(0) }) });
    await names.resolve([1000], []);
    expect(names.nameOfUser(1000)).toBe(1000);
  });
});

describe('the way back', () => {
  it('takes a name of digits for a name, never for the user of that id', async () => {
    const { run } = fakeGetent([ROOT, { name: 'alice', id: 1000 }]);
    const ids = new OwnerIds({ run });
    await ids.resolve(['1000'], []);
    expect(ids.uidOf('1000', 5)).toBe(5);
    // Nothing recorded, as in the older format: the digits are all there is.
    expect(ids.uidOf('1000')).toBe(1000);
  });

  it('needs no asking for numbers', async () => {
    const { run, calls } = fakeGetent([ROOT]);
    const ids = new OwnerIds({ run });
    await ids.resolve([12], [13]);
    expect([ids.uidOf(12, 99), ids.gidOf(13, 99)]).toEqual([12, 13]);
    expect(calls).toEqual([]);
  });

  it('never passes on what could be an option, or could not be an argument', async () => {
    const { run, calls } = fakeGetent([ROOT]);
    const ids = new OwnerIds({ run });
    const hostile = ['--service=evil', '-s', 'a\0b', 'a\nb', '', 'a:b', 'x'.repeat(1000)];
    await ids.resolve(hostile, []);
    expect(calls).toEqual([]);
    expect(hostile.map((name) => ids.uidOf(name, 3))).toEqual(hostile.map(() => 3));
    expect(ids.uidOf('-s')).toBeUndefined();
  });

  it('is an error of the program where it was not asked before', () => {
    expect(() => new OwnerIds().uidOf('alice', 1)).toThrow('never asked');
  });
});

describe.skipIf(output('getent', 'passwd', '0') === undefined)('with the real getent (needs it)', () => {
  it('knows root, and not what is nobody’s', async () => {
    const names = new OwnerNames();
    await names.resolve([0, 4_000_000_001], [0, 4_000_000_002]);
    expect(names.nameOfUser(0)).toBe('root');
    expect(names.nameOfUser(4_000_000_001)).toBe(4_000_000_001);
    expect(names.nameOfGroup(4_000_000_002)).toBe(4_000_000_002);
    const ids = new OwnerIds();
    await ids.resolve(['root', 'no-such-user-here'], ['root']);
    expect([ids.uidOf('root', 5), ids.uidOf('no-such-user-here', 6), ids.gidOf('root', 7)]).toEqual([
      0, 6, 0,
    ]);
    expect([names.failure, ids.failure]).toEqual([undefined, undefined]);
  });

  it('says so where it is not to be found', async () => {
    const names = new OwnerNames({ env: { PATH: '/nonexistent' } });
    await names.resolve([0], []);
    expect([names.nameOfUser(0), names.failure]).toEqual([0, expect.stringContaining('could not be run')]);
  });
});
