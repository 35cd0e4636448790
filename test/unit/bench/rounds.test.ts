import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Contender } from '../../../bench/contenders/types.js';
import { holding } from '../../../bench/measure/gate.js';
import { MemoryWatch } from '../../../bench/measure/process-tree.js';
import { CommandFailed, measure } from '../../../bench/measure/run.js';
import { median, medianInterval } from '../../../bench/measure/statistics.js';
import { buildRatios } from '../../../bench/report/build-ratios.js';
import { resultsTable } from '../../../bench/report/results-table.js';
import { type Entrant, type Result, runRounds } from '../../../bench/rounds.js';
import { temporaryFolder } from '../../kit/temporary.js';

function contender(name: string, isOwn = false): Contender {
  const open = (): never => {
    throw new Error('nothing is run here');
  };
  return { name, isOwn, version: '1', how: 'somehow', places: ['directory'], open };
}

const sampleOf = (seconds: number) => ({ seconds, cpu: 2, peak: 2 ** 20 });
/** Kills a child of ours and waits until that has been noticed. */
async function killed(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const isThere = (): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  while (isThere()) await new Promise((resolve) => setImmediate(resolve));
}

const quietly = { whileMeasuring: undefined, onProgress: () => {} };

describe('runRounds', () => {
  it('lets each begin once, and all run in each round', async () => {
    const order: string[] = [];
    const entrants = ['a', 'b', 'c'].map((name): Entrant => {
      const trial = async () => {
        order.push(name);
        return sampleOf(1);
      };
      return { contender: contender(name), trial };
    });
    await runRounds(entrants, { rounds: 3, ...quietly });
    expect(order.join('')).toBe('abcbcacab');
  });

  it('counts no figure of who failed once, and does not run it again', async () => {
    let runs = 0;
    const trial = async (round: number) => {
      runs += 1;
      if (round === 1) throw new Error('no room');
      return sampleOf(1);
    };
    const [result] = await runRounds([{ contender: contender('a'), trial }], { rounds: 4, ...quietly });
    expect(result).toMatchObject({ samples: [], failure: 'no room' });
    expect(runs).toBe(2);
  });

  it('counts no figure of a round in which the turn was lost', async () => {
    const file = join(temporaryFolder(), 'holder');
    const trial = async (round: number) => {
      if (round === 1) await killed(Number(readFileSync(file, 'utf8')));
      return sampleOf(round);
    };
    const whileMeasuring = `echo $$ > ${file}; echo; exec cat`;
    const entrants = [{ contender: contender('a'), trial }];
    const [result] = await runRounds(entrants, { rounds: 3, whileMeasuring, onProgress: () => {} });
    expect(result?.samples.map(({ seconds }) => seconds)).toEqual([0, 2]);
  });
});

describe('resultsTable', () => {
  const ours: Result = { contender: contender('s3-sysbackup gzip', true), samples: [1, 2, 3].map(sampleOf) };

  it('compares runs of the same round', () => {
    // 4, 3.5 and 2 times as long; the ratio of the medians would be 3.
    const peer: Result = { contender: contender('peer'), samples: [4, 7, 6].map(sampleOf) };
    const row = resultsTable([ours, peer])
      .split('\n')
      .find((line) => line.includes('peer'));
    expect(row?.split('|').map((cell) => cell.trim())).toEqual([
      '',
      'peer',
      '6.00',
      '3.50',
      '2.00',
      '1.00',
      '',
    ]);
  });

  it('shows nothing but the failure of who failed', () => {
    const peer: Result = { contender: contender('peer'), samples: [], failure: 'no room' };
    expect(resultsTable([ours, peer])).toMatch(/^\| peer +\| +failed \| +\| +\| +\|$/m);
  });
});

describe('median', () => {
  it('is the one in the middle, or the mean of two', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 6])).toBe(5.5);
    expect(median([])).toBeNaN();
  });
});

describe('medianInterval', () => {
  it('lies between the order statistics that tables give for 95 %', () => {
    const interval = (count: number) => {
      const { low, high } = medianInterval(Array.from({ length: count }, (_, index) => index + 1));
      return [low, high];
    };
    // Ranks for n = 5, 6, 15 and 45, from tables of the sign test.
    expect(interval(5)).toEqual([undefined, undefined]);
    expect(interval(6)).toEqual([1, 6]);
    expect(interval(15)).toEqual([4, 12]);
    expect(interval(45)).toEqual([16, 30]);
  });
});

describe('buildRatios', () => {
  it('divides this build by the other one, pair by pair', () => {
    const times = [1, 2, 3, 4, 5, 6];
    const now: Result = { contender: contender('s3-sysbackup gzip', true), samples: times.map(sampleOf) };
    const before: Result = {
      contender: contender('s3-sysbackup before gzip', true),
      samples: times.map((time) => sampleOf(time * 2)),
    };
    expect(buildRatios([now, before])).toEqual([
      's3-sysbackup gzip / s3-sysbackup before gzip, 6 pairs: seconds 0.500 (95 % interval 0.500 to 0.500); ' +
        'CPU 1.00 (95 % interval 1.00 to 1.00); peak memory 1.00 (95 % interval 1.00 to 1.00).',
    ]);
    expect(buildRatios([now])).toEqual([]);
  });
});

describe('measure', () => {
  const node = (script: string) => [process.execPath, '--eval', script];

  it('takes no time of a program that fails, and says what it said', async () => {
    const failed = measure({ argv: node('console.error("no room"); process.exit(3)') }, temporaryFolder());
    await expect(failed).rejects.toThrow(/ended with exit code 3:\nno room/);
    await expect(failed).rejects.toBeInstanceOf(CommandFailed);
  });

  it('takes no time of a program that did not do its work', async () => {
    const check = ({ stdout }: { stdout: string }): void => {
      throw new Error(`it saw ${stdout.trim()}`);
    };
    const failed = measure({ argv: node('console.log("nothing")'), check }, temporaryFolder());
    await expect(failed).rejects.toThrow('did not do its work (it saw nothing)');
  });

  it('counts the CPU time of grandchildren', async () => {
    const busy =
      "require('node:crypto').pbkdf2Sync('', '', 2e5, 64, 'sha512'); console.error(process.cpuUsage().user)";
    const script = `require('node:child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(busy)}], { stdio: 'inherit' })`;
    const { cpu, stderr } = await measure({ argv: node(script) }, temporaryFolder());
    const itsOwn = Number(stderr) / 1e6;
    expect(itsOwn).toBeGreaterThan(0);
    expect(cpu).toBeGreaterThan(itsOwn);
  });
});

describe('MemoryWatch', () => {
  it('sees what children of a process have', async () => {
    const hungry = 'const held = Buffer.alloc(3e8, 1); console.log(held.length); process.stdin.resume()';
    const script = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(hungry)}], { stdio: 'inherit' })`;
    const parent = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    const peak = new MemoryWatch(parent.pid ?? 0).stop();
    parent.stdin.end();
    await once(parent, 'close');
    expect(peak).toBeGreaterThan(3e8);
  });
});

describe('holding', () => {
  it('waits for its turn, and gives it up', async () => {
    const events: string[] = [];
    const result = await holding('echo; cat; exit 0', async () => {
      events.push('worked');
      return 7;
    });
    expect([result, events]).toEqual([7, ['worked']]);
  });

  it('does nothing without its turn', async () => {
    const work = holding('exit 1', () => Promise.reject(new Error('it worked')));
    await expect(work).rejects.toThrow('it ended without printing a line: exit 1');
  });
});
