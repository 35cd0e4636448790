import { createHash } from 'node:crypto';
import { MemoryStore } from '#src/store/memory.js';
import { describeAttacks } from '../../kit/attacks.js';

describeAttacks('a store in memory', async () => {
  const store = new MemoryStore();
  return {
    store,
    reading: store,
    attacker: {
      put: async (key, bytes, retention) => {
        store.putForeign({ key, bytes, ...(retention === undefined ? {} : { retention }) });
      },
      putMultipart: async (key, bytes, retention) => {
        const etag = `${createHash('md5').update(createHash('md5').update(bytes).digest()).digest('hex')}-1`;
        store.putForeign({ key, bytes, etag, ...(retention === undefined ? {} : { retention }) });
      },
      addDeleteMarker: async (key) => {
        store.addDeleteMarker(key);
      },
    },
  };
});
