/** The entry point of a thread that writes small files. Started by small-file-writers.ts. */
import { parentPort } from 'node:worker_threads';
import type { SmallFiles } from './small-files.js';
import { writeSmallFiles } from './write-small-files.js';

const port = parentPort;
port?.on('message', (batch: SmallFiles) => port.postMessage(writeSmallFiles(batch)));
