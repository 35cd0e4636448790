/**
 * Imported by the program under test, which it kills at something that the program does, so that no speed of a machine
 * matters. `KILL_AT` is `{type, count, operations, signal}`: once `count` events of that type have been printed
 * (`--json`), at the beginning of the operation of that number that writes to a disk or a connection; 0: at the event.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const NAMES = ['appendFile', 'chmod', 'fchmod', 'fsync', 'link', 'mkdir', 'open', 'rename', 'rm', 'sync'];
const WRITING = [...NAMES, 'truncate', 'unlink', 'write', 'writeFile'].flatMap((name) => [
  name,
  `${name}Sync`,
]);

if (isMainThread && process.env.KILL_AT !== undefined) {
  const { type, count, operations, signal = 'SIGKILL' } = JSON.parse(process.env.KILL_AT);
  let eventsLeft = count;
  let operationsLeft = Infinity;

  // Once: a second SIGINT would end it at once.
  const die = () => {
    operationsLeft = Infinity;
    process.kill(process.pid, signal);
  };
  const operation = () => {
    operationsLeft -= 1;
    if (operationsLeft === 0) die();
  };
  const countedIn = (object, names, counts) => {
    for (const name of names) {
      const original = object[name];
      if (typeof original !== 'function') continue;
      object[name] = function (...args) {
        if (counts(this)) operation();
        return original.apply(this, args);
      };
    }
  };

  const handle = await fs.promises.open('/dev/null');
  countedIn(Object.getPrototypeOf(handle), WRITING, () => true);
  await handle.close();
  countedIn(fs, WRITING, () => true);
  countedIn(fs.promises, WRITING, () => true);
  syncBuiltinESMExports();
  // Not what goes to standard output.
  countedIn(Socket.prototype, ['_write', '_writev'], ({ remoteAddress }) => remoteAddress !== undefined);

  const print = process.stdout.write;
  process.stdout.write = function (text, ...args) {
    // To a pipe, this has been written when it returns.
    const printed = print.call(this, text, ...args);
    if (String(text).startsWith(`{"type":"${type}"`)) {
      eventsLeft -= 1;
      if (eventsLeft === 0) operationsLeft = operations;
      if (operationsLeft === 0) die();
    }
    return printed;
  };
}
