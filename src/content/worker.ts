/** The entry point of a reader thread. Started by pool-reader.ts with {@link ReaderSettings} as its data. */
import { parentPort } from 'node:worker_threads';
import { beginThread } from '../threads.js';
import { JobRunner } from './job-runner.js';
import type { ReaderSettings, ToReader } from './messages.js';

if (parentPort) {
  const port = parentPort;
  const runner = new JobRunner(beginThread() as ReaderSettings, (message, transfer) =>
    port.postMessage(message, transfer),
  );
  port.on('message', (message: ToReader) => runner.receive(message));
}
