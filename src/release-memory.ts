import * as threads from 'node:worker_threads';

/**
 * What is posted to a closed end goes nowhere; the memory handed over is freed there and then. With only the other end
 * closed it may lie there for as long as its thread lives: of that end's closing this one hears later.
 */
const nowhere = (() => {
  const { port1 } = new threads.MessageChannel();
  port1.close();
  return port1;
})();

/**
 * Frees the memory of bytes at once; they are empty afterwards, as are all other views of their buffer. Otherwise it
 * is the garbage collector that frees it, in its time: then hundreds of megabytes of contents dealt with lie about, and
 * it runs the more often for them (a fifth of a first run's processor time).
 *
 * Only for a buffer of one's own, of which no view is in use any more. What zlib unpacks may lie in the pool of
 * `Buffer.allocUnsafe` where it is short; that is left.
 */
export function releaseMemory(bytes: ArrayBufferView): void {
  const { buffer } = bytes;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0 || isOfPool(buffer)) return;
  nowhere.postMessage(undefined, [buffer]);
}

interface Telling {
  isMarkedAsUntransferable?: (buffer: ArrayBuffer) => boolean;
}

/** Node.js 20 cannot tell, and just keeps what is not to be handed over; later ones throw. */
const isOfPool = (threads as Telling).isMarkedAsUntransferable ?? (() => false);
