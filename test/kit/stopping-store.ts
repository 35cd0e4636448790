import type { ObjectStore } from '#src/store/port.js';
import { StoreError } from '#src/store/store-error.js';

/**
 * The store as a machine sees it that is cut off during its request number `last` (from 1): it gets no answer to that
 * one, which had its effect where `effective` is set, and to none after it.
 */
export function stoppingAfter(store: ObjectStore, last: number, effective: boolean): ObjectStore {
  let count = 0;
  const ask = async <T>(send: () => Promise<T>): Promise<T> => {
    count += 1;
    const isLast = count === last;
    if (count > last || (isLast && !effective)) throw cutOff();
    const answer = await send();
    if (isLast) throw cutOff();
    return answer;
  };
  return {
    description: store.description,
    identity: store.identity,
    put: (request) => ask(() => store.put(request)),
    get: (key, version, range) => ask(() => store.get(key, version, range)),
    head: (key, version) => ask(() => store.head(key, version)),
    list: (request) => ask(() => store.list(request)),
    getRetention: (key, version) => ask(() => store.getRetention(key, version)),
    extendRetention: (key, version, retention) => ask(() => store.extendRetention(key, version, retention)),
    capabilities: () => ask(() => store.capabilities()),
    now: () => store.now(),
    close: () => store.close(),
  };
}

function cutOff(): StoreError {
  return new StoreError('STORE_FAILED', 'cut off');
}
