import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryStore } from '#src/store/directory.js';
import { MemoryStore } from '#src/store/memory.js';
import { describeStoreContract } from '../../kit/store-contract.js';

describeStoreContract('memory', async () => ({ store: new MemoryStore() }), {
  sameBytesAreOneVersion: false,
});

describeStoreContract(
  'directory',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'store-'));
    return {
      store: await openDirectoryStore({ path: join(folder, 'root'), create: true }),
      dispose: () => rm(folder, { recursive: true }),
    };
  },
  { sameBytesAreOneVersion: true },
);
