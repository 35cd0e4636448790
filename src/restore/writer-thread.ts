/** The entry point of a thread that writes small files. Started by small-file-writers.ts. */
import { parentPort } from 'node:worker_threads';
import { libdeflate } from '../content/libdeflate.js';
import { beginThread } from '../threads.js';
import { LocalContents } from './local-contents.js';
import type { SmallFilesMessage } from './small-files-message.js';
import { writeSmallFiles } from './write-small-files.js';

const port = parentPort;
const { localRoot } = beginThread() as { localRoot: string | undefined };
const local = localRoot === undefined ? undefined : new LocalContents(localRoot);
const tools = { local, library: libdeflate() };
port?.on('message', (batch: SmallFilesMessage) => port.postMessage(writeSmallFiles(batch, tools)));
