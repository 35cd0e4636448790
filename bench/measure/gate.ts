import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * On a machine that is shared: a command of the user's that waits for its turn, prints a line when it has it, and
 * gives it up when its standard input ends (`flock /tmp/lock sh -c "echo; cat"`). What it is for is done in between.
 */
export async function holding<T>(command: string | undefined, work: () => Promise<T>): Promise<T> {
  if (command === undefined) return work();
  // A group of its own, so that all of it can be ended with us: it may wait in a queue.
  const holder = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const end = (): void => {
    if (holder.pid !== undefined) process.kill(-holder.pid);
  };
  process.once('exit', end);
  const ended = once(holder, 'close');
  holder.once('exit', () => process.off('exit', end));
  const first = await Promise.race([once(holder.stdout, 'data'), ended.then(() => undefined)]);
  if (first === undefined) throw new Error(`it ended without printing a line: ${command}`);
  let isOver = false;
  holder.on('exit', () => {
    isOver = true;
  });
  holder.stdin.on('error', () => {}); // Nobody reads any more: told below.
  try {
    const result = await work();
    if (isOver)
      throw new Error(`it ended before the work it was to guard, whose figures are void: ${command}`);
    return result;
  } finally {
    holder.stdin.end();
    await ended;
  }
}
