/** The entry point of a thread that writes small files. Started by small-file-writers.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { LocalContents } from './local-contents.js';
import type { SmallFilesMessage } from './small-files-message.js';
import { writeSmallFiles } from './write-small-files.js';

const port = parentPort;
const { localRoot } = workerData as { localRoot: string | undefined };
const local = localRoot === undefined ? undefined : new LocalContents(localRoot);
port?.on('message', (batch: SmallFilesMessage) => port.postMessage(writeSmallFiles(batch, local)));
