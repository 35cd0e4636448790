import { Readable } from 'node:stream';
import type { ObjectStore } from '#src/store/port.js';

/** A store of which some methods are replaced. */
export function changed(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    description: store.description,
    identity: store.identity,
    damage: store.damage,
    get etags() {
      return store.etags;
    },
    put: (request) => store.put(request),
    get: (key, version, range) => store.get(key, version, range),
    head: (key, version) => store.head(key, version),
    list: (request) => store.list(request),
    getRetention: (key, version) => store.getRetention(key, version),
    extendRetention: (key, version, retention) => store.extendRetention(key, version, retention),
    capabilities: () => store.capabilities(),
    now: (prefix) => store.now(prefix),
    close: () => store.close(),
    ...changes,
  };
}

/** The store, giving other bytes for one key. */
export function damaged(store: ObjectStore, key: string, bytes: Uint8Array): ObjectStore {
  return changed(store, {
    get: async (asked, version, range) =>
      asked === key ? Readable.from([Buffer.from(bytes)]) : store.get(asked, version, range),
  });
}
