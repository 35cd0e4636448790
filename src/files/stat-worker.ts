/** The entry point of a thread that looks at files. Started by stat-pool.ts. */
import { parentPort } from 'node:worker_threads';
import { releaseMemory } from '../release-memory.js';
import { beginThread } from '../threads.js';
import { lstatPacked } from './stat-batch.js';
import type { StatAnswer, StatRequest } from './stat-pool.js';

beginThread();
parentPort?.on('message', ({ bytes, ends }: StatRequest) => {
  const stats = lstatPacked(bytes, ends);
  const { view, buffer } = stats.transfer();
  parentPort?.postMessage({ words: view, errors: stats.errors } satisfies StatAnswer, [buffer]);
  releaseMemory(bytes);
  releaseMemory(ends);
});
