/** The entry point of a thread that looks at files. Started by stat-pool.ts. */
import { parentPort } from 'node:worker_threads';
import { releaseMemory } from '../release-memory.js';
import { beginThread } from '../threads.js';
import { lstatPacked } from './stat-batch.js';
import type { StatRequest } from './stat-pool.js';

beginThread();
parentPort?.on('message', ({ bytes, ends }: StatRequest) => {
  const answer = lstatPacked(bytes, ends);
  parentPort?.postMessage(answer, [answer.words.buffer as ArrayBuffer]);
  releaseMemory(bytes);
  releaseMemory(ends);
});
