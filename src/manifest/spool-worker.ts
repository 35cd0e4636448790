/** The entry point of a thread that spools a manifest. Started by spool-thread.ts with its path as data. */
import { parentPort } from 'node:worker_threads';
import { messageOf, SysbackupError } from '../errors.js';
import { OwnMemory } from '../own-memory.js';
import { beginThread } from '../threads.js';
import { ManifestSpool } from './spool.js';
import type { SpoolAnswer, SpoolFailure, SpoolRequest } from './spool-thread.js';

const path = beginThread() as string;
const spool = opened(() => new ManifestSpool(path, true));

/** What fails here is the answer to what is asked first. */
async function opened(open: () => ManifestSpool): Promise<ManifestSpool> {
  return open();
}

spool.catch(() => undefined);

async function answer(request: SpoolRequest): Promise<SpoolAnswer> {
  const to = await spool;
  switch (request.kind) {
    case 'append':
      return { member: await to.append(received(request.lines)) };
    case 'carry':
      await to.carry(received(request.member), request.linesLength);
      return {};
    case 'hash':
      return { sha256: await to.linesSha256() };
    case 'close':
      return { spooled: await to.close() };
  }
}

function received(bytes: Uint8Array): OwnMemory {
  return OwnMemory.of(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function failureOf(error: unknown): SpoolFailure {
  const hint = error instanceof SysbackupError ? error.hint : undefined;
  return { message: messageOf(error), ...(hint === undefined ? {} : { hint }) };
}

parentPort?.on('message', (request: SpoolRequest) => {
  void answer(request).then(
    (result) => parentPort?.postMessage({ id: request.id, answer: result }, []),
    (error: unknown) => parentPort?.postMessage({ id: request.id, failure: failureOf(error) }, []),
  );
});
