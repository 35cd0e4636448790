/**
 * Ends two threads that load a native module at the same time, at each moment from their start until, left alone, they
 * have answered a question. A process of its own, since that is what is at stake. Given: threads.js and stat-worker.js.
 */
import { setTimeout as wait } from 'node:timers/promises';

const [threads, worker] = process.argv.slice(2);
const { startThread, endThread } = await import(threads);

const start = () => [0, 1].map(() => startThread(new URL(worker), undefined, 2));

async function endAfterItsAnswer(thread) {
  const answer = new Promise((resolve) => thread.once('message', resolve));
  thread.postMessage({ bytes: new Uint8Array(0), ends: new Uint32Array(0) }, []);
  await answer;
  await endThread(thread);
}

const from = performance.now();
await Promise.all(start().map(endAfterItsAnswer));
const whole = performance.now() - from;

for (let step = 0; step < 120; step++) {
  const started = start();
  await wait((step / 100) * whole);
  await Promise.all(started.map((thread) => endThread(thread)));
}
process.stdout.write('all ended');
