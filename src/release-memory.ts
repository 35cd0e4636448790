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
 * Only for what the caller has made itself and given to nobody. What goes from hand to hand is an {@link OwnMemory}
 * (own-memory.ts). Part of a longer buffer is left as it is: somebody else may have the rest.
 */
export function releaseMemory(bytes: ArrayBufferView): void {
  if (bytes.byteLength === bytes.buffer.byteLength) releaseBuffer(bytes.buffer);
}

/**
 * The same of what has just been made, of which there is no other view although its buffer may be longer: zlib gives
 * such. Where it is short it may lie in the pool of `Buffer.allocUnsafe`; that is left.
 */
export function releaseOnlyView(bytes: ArrayBufferView): void {
  releaseBuffer(bytes.buffer);
}

function releaseBuffer(buffer: ArrayBufferLike): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0 || isOfPool(buffer)) return;
  nowhere.postMessage(undefined, [buffer]);
}

interface Telling {
  isMarkedAsUntransferable?: (buffer: ArrayBuffer) => boolean;
}

/** Node.js 20 cannot tell, and just keeps what is not to be handed over; later ones throw. */
const isOfPool = (threads as Telling).isMarkedAsUntransferable ?? (() => false);
