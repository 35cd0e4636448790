/** The entry point of a reader thread. Started by pool-reader.ts with {@link ReaderSettings} as its data. */
import { parentPort, workerData } from 'node:worker_threads';
import { JobRunner } from './job-runner.js';
import type { ReaderSettings, ToReader } from './messages.js';

if (parentPort) {
  const port = parentPort;
  // workerData has no type of its own; pool-reader.ts is the only one to set it.
  const runner = new JobRunner(workerData as ReaderSettings, (message, transfer) =>
    port.postMessage(message, transfer),
  );
  port.on('message', (message: ToReader) => runner.receive(message));
}
