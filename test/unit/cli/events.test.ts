import { describe, expect, it } from 'vitest';
import { jsonOfEvent, printsAsJson } from '#cli/presentation/event-json.js';
import { eventLogger, levelOfEvent } from '#cli/presentation/event-lines.js';
import { HeldBack } from '#cli/presentation/held-back.js';
import { failureOf, stackLines } from '#cli/presentation/failure.js';
import { journalSink, Log, plainSink, timedSink } from '#cli/presentation/log.js';
import { SysbackupError } from '#src/errors.js';
import type { Problem, SysbackupEvent } from '#src/events.js';

function linesOf(event: SysbackupEvent, level: 'info' | 'debug' = 'debug'): string[] {
  const lines: string[] = [];
  eventLogger(new Log(level, [plainSink((text) => lines.push(text))]))(event);
  return lines;
}

const problem: Problem = { severity: 'failure', code: 'unreadable', message: 'cannot be read (EACCES)' };

describe('lines of events', () => {
  it('a problem is one line that names its path once, made printable', () => {
    const path = '/srv/a\nb\xff';
    const lines = linesOf({ type: 'problem', problem: { ...problem, path } });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(problem.message);
    expect(lines[0]).toContain('\\xff');
    const named = linesOf({
      type: 'problem',
      problem: { ...problem, message: `/srv/c: ${problem.message}`, path: '/srv/c' },
    });
    expect(named[0]?.split('/srv/c')).toHaveLength(2);
  });

  it('how grave a problem is decides its level', () => {
    const levels = (['note', 'failure', 'broken'] as const).map((severity) =>
      levelOfEvent({ type: 'problem', problem: { ...problem, severity } }),
    );
    expect(levels).toEqual(['info', 'warning', 'error']);
  });

  it('a first retry is for those who look closely, one after several is for all', () => {
    const retry = { type: 'retry', request: 'put', key: 'k', delayMs: 100, reason: 'slow down' } as const;
    expect(linesOf({ ...retry, attempt: 1 }, 'info')).toEqual([]);
    expect(linesOf({ ...retry, attempt: 3 }, 'info')[0]).toMatch(/^warning: .*put k: slow down/);
  });

  it('a server out of reach is one warning in ten seconds, however many requests it fails', () => {
    let now = 0;
    const lines: string[] = [];
    const tell = eventLogger(new Log('info', [plainSink((text) => lines.push(text))]), () => now);
    const retry = { type: 'retry', request: 'put', delayMs: 100, attempt: 3, reason: 'no answer' } as const;
    for (let request = 0; request < 40; request++) tell({ ...retry, key: `content/${request}` });
    expect(lines).toHaveLength(1);
    now = 10_000;
    tell({ ...retry, key: 'content/0' });
    expect(lines).toHaveLength(2);
  });

  describe('that are many of a kind', () => {
    /** What is written of so many problems, and at the end. */
    function linesOfMany(level: 'info' | 'debug', problems: readonly [count: number, problem: Problem][]) {
      const lines: string[] = [];
      const log = new Log(level, [plainSink((text) => lines.push(text))]);
      const tell = eventLogger(log);
      for (const [count, problem] of problems)
        for (let number = 0; number < count; number++)
          tell({ type: 'problem', problem: { ...problem, path: `/${number}` } });
      const before = lines.length;
      log.writeRest();
      log.writeRest();
      return { before, rest: lines.slice(before) };
    }

    it.each(['note', 'failure', 'broken'] as const)(
      'are 100 for each code and picker, and one: %s',
      (severity) => {
        const of = (code: string, source?: string): Problem => ({
          severity,
          code,
          message: 'x',
          ...(source === undefined ? {} : { source }),
        });
        const { before, rest } = linesOfMany('info', [
          [12_445, of('missing', 'one')],
          [101, of('missing', 'two')],
          [101, of('unreadable')],
          [100, of('too-long', 'one')],
        ]);
        expect(before).toBe(400);
        expect(rest).toHaveLength(3);
        expect(rest[0]).toContain('12,345 more');
        expect(rest[0]).toMatch(/missing.*one/);
        expect(rest[2]).toContain('1 more');
      },
    );

    it('are all there for who looks closely', () => {
      const { before, rest } = linesOfMany('debug', [[1000, { ...problem, source: 'one' }]]);
      expect([before, rest.length]).toEqual([1000, 0]);
      const special: Problem = { severity: 'note', code: 'special-file', message: 'x' };
      expect(linesOfMany('debug', [[2, special]])).toEqual({ before: 2, rest: [] });
    });

    it('are one line for sockets, FIFOs and devices, and none for what a failure counts', () => {
      const special: Problem = { severity: 'note', code: 'special-file', message: 'x' };
      const { before, rest } = linesOfMany('info', [
        [3, special],
        [3, { ...special, code: 'overlay-whiteout' }],
      ]);
      expect(before).toBe(0);
      expect(rest).toHaveLength(1);
      expect(rest[0]).toContain('3 FIFOs, sockets and devices');
    });

    it('are limited where a program prints them too', () => {
      const lines: string[] = [];
      const log = new Log('info', [plainSink((text) => lines.push(text))]);
      const tell = eventLogger(log);
      for (let line = 0; line < 300; line++)
        tell({ type: 'log', level: 'info', message: 'denied', source: 'find' });
      expect(lines).toHaveLength(100);
      log.writeRest();
      expect(lines.slice(100)).toEqual([expect.stringMatching(/^find: 200 more/)]);
    });
  });

  it('what is held back is shown by an error, or when it is asked for, and in its order', () => {
    const lines: string[] = [];
    const held = new HeldBack(plainSink((text) => lines.push(text)));
    const log = new Log('info', [held]);
    log.write('info', 'one');
    log.write('warning', 'two');
    expect(lines).toEqual([]);
    log.write('error', 'three');
    expect(lines).toEqual(['one', 'warning: two', 'error: three']);
    log.write('info', 'four');
    held.drop();
    for (let line = 0; line < 30_000; line++) log.write('info', `${line}`);
    held.show();
    expect(lines[3]).toMatch(/20000 lines/);
    expect(lines.slice(4)).toEqual(Array.from({ length: 10_000 }, (_, line) => `${20_000 + line}`));
  });

  it('the journal gets priorities, a file the time, and both what a person would see', () => {
    const lines: string[] = [];
    const log = new Log('warning', [
      journalSink((text) => lines.push(text)),
      timedSink(
        (text) => lines.push(text),
        () => 0,
      ),
    ]);
    log.write('warning', 'careful');
    log.write('info', 'never mind');
    expect(lines).toEqual(['<4>careful', '1970-01-01T00:00:00.000Z warning careful']);
  });
});

describe('JSON of events', () => {
  it('a path is text where it is UTF-8, and path64 otherwise, with its very bytes', () => {
    const text = jsonOfEvent({ type: 'problem', problem: { ...problem, path: '/\xc3\xa4' } });
    expect(text).toMatchObject({ type: 'problem', code: 'unreadable', path: '/ä' });
    const bytes = jsonOfEvent({ type: 'problem', problem: { ...problem, path: '/\xff' } });
    expect(bytes).not.toHaveProperty('path');
    expect(bytes).toMatchObject({ path64: Buffer.from([0x2f, 0xff]).toString('base64') });
  });

  it('each object stored is told at debug only, a problem always', () => {
    const takes = (level: string) => level === 'error';
    expect(printsAsJson({ type: 'problem', problem }, takes)).toBe(true);
    const stored = { type: 'stored', key: 'k', version: 'v', size: 1, until: 0 } as const;
    expect(printsAsJson(stored, takes)).toBe(false);
    expect(printsAsJson(stored, () => true)).toBe(true);
  });
});

describe('failures', () => {
  it('what was thrown on purpose keeps its message, hint and exit code', () => {
    const error = new SysbackupError('ACCESS_DENIED', 'no', { hint: 'ask' });
    expect(failureOf(error)).toEqual({ code: 'ACCESS_DENIED', message: 'no', hint: 'ask', exitCode: 12 });
  });

  it('anything else is called a bug, in one line', () => {
    const failure = failureOf(new TypeError('x is\nnot a function'));
    expect(failure.exitCode).toBe(1);
    expect(failure.message).not.toContain('\n');
    expect(failure.hint).toMatch(/bug/);
    expect(failureOf('thrown text').message).toContain('thrown text');
  });

  it('a full disk is none', () => {
    const failure = failureOf(
      Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }),
    );
    expect(failure.hint).not.toMatch(/bug/);
  });

  it('stacks go down to the first cause, and a circle of causes ends', () => {
    const first = new Error('first');
    const second = new Error('second', { cause: first });
    first.cause = second;
    const lines = [...stackLines(second)];
    expect(lines[0]).toContain('second');
    expect(lines.filter((line) => line.startsWith('caused by: '))).toHaveLength(1);
  });
});
