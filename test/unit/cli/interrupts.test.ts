import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { Interrupts } from '#cli/interrupts.js';

it('the first signal stops the work in order, the second ends the program with its own code', () => {
  const emitter = new EventEmitter();
  const interrupts = new Interrupts();
  const told: (string | number)[] = [];
  interrupts.listen(emitter, {
    onFirst: (signal) => told.push(signal),
    onSecond: (exitCode) => told.push(exitCode),
  });
  expect(interrupts.exitCode).toBeUndefined();
  expect(interrupts.signal.aborted).toBe(false);
  emitter.emit('SIGTERM');
  expect(interrupts.signal.aborted).toBe(true);
  expect(interrupts.exitCode).toBe(143);
  expect(told).toEqual(['SIGTERM']);
  emitter.emit('SIGINT');
  expect(told).toEqual(['SIGTERM', 130]);
  expect(interrupts.exitCode).toBe(143);
});

it('SIGHUP is nobody’s business here: a handler would undo nohup', () => {
  const emitter = new EventEmitter();
  new Interrupts().listen(emitter, { onFirst: () => undefined, onSecond: () => undefined });
  expect(emitter.eventNames().sort()).toEqual(['SIGINT', 'SIGTERM']);
});
