import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { BlockReader, BlockTask } from '#src/content/block-task.js';
import { LongFiles } from '#src/content/long-files.js';
import type { BlockMemory } from '#src/content/messages.js';
import { PoolJob } from '#src/content/pool-job.js';
import type { FileReading, ReadHandlers } from '#src/content/types.js';
import { pathFromText } from '#src/files/byte-path.js';

const BLOCK = 64;

/** A reader that does nothing but what the test says. */
class HandReader implements BlockReader {
  lent: BlockMemory[] = [];
  task: BlockTask | undefined;
  dropped = 0;
  lend(_: PoolJob, memory: BlockMemory): void {
    this.lent.push(memory);
  }
  workOn(task: BlockTask): void {
    expect(this.task).toBeUndefined();
    this.task = task;
  }
  endWork(): BlockTask | undefined {
    const { task } = this;
    this.task = undefined;
    return task;
  }
  drop(): void {
    this.dropped++;
  }
}

function workplace(readers: HandReader[]) {
  const files = new LongFiles(BLOCK, readers.length, () => readers.find(({ task }) => task === undefined));
  let ids = 0;
  const begin = (reader: HandReader, handlers: Partial<ReadHandlers> = {}) => {
    let outcome = 'open';
    const job = new PoolJob(
      ids++,
      pathFromText('/file'),
      { block: () => undefined, restart() {}, ...handlers },
      undefined,
      BLOCK,
      {
        resolve: () => {
          outcome = 'read';
        },
        reject: (error) => {
          outcome = error instanceof Error ? error.message : 'rejected';
        },
      },
    );
    files.begin(reader, job, 2);
    files.goOn();
    return { job, outcome: () => outcome };
  };
  const piece = (reader: HandReader, job: PoolJob) => {
    const slot = reader.lent.shift()?.slot ?? -1;
    files.piece(job, { kind: 'piece', id: job.id, slot, size: BLOCK, sha: undefined });
    files.goOn();
  };
  const answer = (reader: HandReader, what: 'hashed' | 'encoded' | 'crash') => {
    if (what === 'crash') files.crashed(reader, 'out of luck');
    else if (what === 'hashed') files.received(reader, { kind: 'hashed', sha: new Uint8Array(32) });
    else {
      const stored = { bytes: new Uint8Array(5), md5: undefined, enc: undefined };
      files.received(reader, { kind: 'encoded', stored });
    }
    files.goOn();
  };
  const end = (job: PoolJob) => {
    job.end({ size: 0 } as FileReading);
    files.finished(job);
    files.goOn();
  };
  return { begin, piece, answer, end };
}

describe('LongFiles', () => {
  it('gives a block to another reader when one crashes, and its file up when a second does', () => {
    const [lead, other] = [new HandReader(), new HandReader()];
    const { begin, piece, answer, end } = workplace([other, lead]);
    const handedOn: number[] = [];
    const first = begin(lead, { block: (_, index) => void handedOn.push(index) });
    piece(lead, first.job);
    answer(other, 'crash');
    expect(other.task?.sha).toBeUndefined();
    answer(other, 'hashed');
    answer(other, 'encoded');
    end(first.job);
    expect(handedOn).toEqual([0]);
    expect(first.outcome()).toBe('read');

    const second = begin(lead);
    piece(lead, second.job);
    answer(other, 'hashed');
    answer(other, 'crash');
    expect(other.task?.sha).toBeDefined();
    answer(other, 'crash');
    expect(second.outcome()).toContain('out of luck');
    expect(lead.dropped).toBe(1);
    expect([other.task, lead.task]).toEqual([undefined, undefined]);
  });

  it('lends no more memory than is promised, whatever is slow, and all of it again in the end', async () => {
    const [lead, other] = [new HandReader(), new HandReader()];
    const { begin, piece, answer, end } = workplace([lead, other]);
    const waiting: (() => void)[] = [];
    const slow = () => new Promise<void>((resolve) => waiting.push(resolve));
    const file = begin(lead, { block: slow });
    const readAll = () => {
      let pieces = 0;
      for (; lead.lent.length > 0; pieces++) piece(lead, file.job);
      return pieces;
    };
    // Nothing is hashed: as many blocks as readers, and one.
    expect(readAll()).toBe(3);
    // All is hashed and encoded, and nothing is dealt with: two more.
    const workAll = () => {
      let pieces = 0;
      for (const reader of [lead, other, lead, other, lead, other, lead, other])
        if (reader.task) {
          answer(reader, reader.task.sha ? 'encoded' : 'hashed');
          pieces += readAll();
        }
      return pieces;
    };
    expect(workAll() + workAll() + workAll()).toBe(2);
    expect(waiting).toHaveLength(5);
    for (const resolve of waiting.splice(0)) resolve();
    await turn();
    expect(lead.lent).toHaveLength(2);
    end(file.job);
    expect(file.outcome()).toBe('read');
    lead.lent = [];
    const next = begin(other);
    for (let i = 0; i < 3; i++) piece(other, next.job);
    expect(other.lent).toHaveLength(0);
  });
});
