import { LookAhead } from '#src/archive/look-ahead.js';
import type { BytePath } from '#src/files/byte-path.js';
import { PackedPaths } from '#src/files/packed-paths.js';
import { StatBatch } from '#src/files/stat-batch.js';
import type { StatPool } from '#src/files/stat-pool.js';
import { describe, expect, it } from 'vitest';

const NOTHING: StatBatch = new StatBatch(new Int32Array(0), new Map());
/** As many as a picker's chunk brings. */
const MANY = 1000;

/** A pool that answers when it is told to, or at once where `promised` says so. */
function poolAnswering(promised: (question: number) => boolean) {
  const answers: (() => void)[] = [];
  let asked = 0;
  const pool: Pick<StatPool, 'lstat'> = {
    lstat: () => {
      if (!promised(asked++)) return NOTHING;
      return new Promise((resolve) => answers.push(() => resolve(NOTHING)));
    },
  };
  return { pool: pool as StatPool, answers };
}

function pathsFrom(first: number): PackedPaths {
  return PackedPaths.of(Array.from({ length: MANY }, (_, index) => `/${first + index}` as BytePath));
}

function collecting() {
  const taken: string[] = [];
  const pickAll = (paths: PackedPaths, picker: string): void => {
    for (const path of paths.paths()) taken.push(`${picker}${path}`);
  };
  return { taken, taker: { pickAll } };
}

describe('LookAhead', () => {
  it('hands on in the order paths came, whichever is looked at first', async () => {
    const { taken, taker } = collecting();
    const { pool, answers } = poolAnswering((question) => question % 2 === 0);
    const ahead = new LookAhead(pool, taker);
    for (let batch = 0; batch < 6; batch++) await ahead.add(pathsFrom(batch * MANY), batch < 3 ? 'a' : 'b');
    expect(taken).toEqual([]);
    for (const answer of answers.reverse()) answer();
    await ahead.end();
    const expected = Array.from(
      { length: 6 * MANY },
      (_, index) => `${index < 3 * MANY ? 'a' : 'b'}/${index}`,
    );
    expect(taken).toEqual(expected);
  });

  it('takes no more where too much waits for an answer', async () => {
    const { taken, taker } = collecting();
    const { pool, answers } = poolAnswering((question) => question === 0);
    const ahead = new LookAhead(pool, taker);
    let added = 0;
    const adding = (async () => {
      for (; added < 1000; added++) await ahead.add(pathsFrom(0), 'a');
    })();
    // What can go on does so within few turns of the event loop.
    for (let turn = 0; turn < 2000; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(added).toBeLessThan(1000);
    expect(taken).toEqual([]);
    answers[0]?.();
    await adding;
    await ahead.end();
    expect(taken).toHaveLength(1000 * MANY);
  });

  it('passes on what the taker throws, now or later, and does not wait for ever', async () => {
    const { pool, answers } = poolAnswering(() => true);
    const ahead = new LookAhead(pool, {
      pickAll: () => {
        throw new Error('cannot take it');
      },
    });
    await ahead.add(pathsFrom(0), 'a');
    const end = ahead.end();
    answers[0]?.();
    await expect(end).rejects.toThrow('cannot take it');
    expect(() => ahead.add(pathsFrom(0), 'a')).toThrow('cannot take it');
  });

  it('hands on few paths as they come, and those that wait at the end', async () => {
    const { taken, taker } = collecting();
    const { pool, answers } = poolAnswering((question) => question === 1);
    const ahead = new LookAhead(pool, taker);
    await ahead.add(PackedPaths.of(['/a' as BytePath]), 'x');
    expect(taken).toEqual(['x/a']);
    await ahead.add(PackedPaths.of(['/b' as BytePath]), 'x');
    expect(taken).toEqual(['x/a']);
    const end = ahead.end();
    answers[0]?.();
    await end;
    expect(taken).toEqual(['x/a', 'x/b']);
  });

  it('hands on what was looked at with the paths that it is of', async () => {
    const handed: { paths: string[]; stats: StatBatch }[] = [];
    const answers = [1, 2, 3].map((words): StatBatch => new StatBatch(new Int32Array(words), new Map()));
    let asked = 0;
    const lstat = (): StatBatch => answers[asked++] ?? NOTHING;
    const ahead = new LookAhead({ lstat } as unknown as StatPool, {
      pickAll: (paths, _, stats) => void handed.push({ paths: [...paths.paths()], stats }),
    });
    for (const name of ['/a', '/b', '/c']) await ahead.add(PackedPaths.of([name as BytePath]), 'x');
    await ahead.end();
    expect(handed.map(({ paths }) => paths)).toEqual([['/a'], ['/b'], ['/c']]);
    expect(handed.map(({ stats }) => stats)).toEqual(answers);
  });
});
