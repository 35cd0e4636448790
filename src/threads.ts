import { MessageChannel, type MessagePort, Worker, workerData } from 'node:worker_threads';

/** What {@link startThread} gives a thread. */
interface ThreadStart {
  data: unknown;
  /** Closed when the thread has loaded all that it needs. Node closes it too when the thread ends. */
  loading: MessagePort;
}

/** The longest time of a timer. */
const LONG_MS = 2 ** 31 - 1;

/** For each thread: settles when it has loaded all that it needs, or is gone. */
const loadings = new WeakMap<Worker, Promise<void>>();

/**
 * Starts a thread without the process's own Node options, some of which (`--input-type`) a file is refused with. It
 * has to be ended with {@link endThread}.
 *
 * @param file the module it runs, which takes its data from {@link beginThread}
 * @param youngMb megabytes of its heap's nursery: next to nothing lives there, and 16, the default, cost 30 each
 */
export function startThread(file: URL, data: unknown, youngMb: number): Worker {
  const { port1, port2 } = new MessageChannel();
  const start: ThreadStart = { data, loading: port2 };
  const worker = new Worker(file, {
    workerData: start,
    transferList: [port2],
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: youngMb },
  });
  loadings.set(worker, new Promise((resolve) => port1.once('close', resolve)));
  return worker;
}

/** To be called by a thread's module when all that it imports is there: gives what the thread was started with. */
export function beginThread(): unknown {
  // workerData has no type of its own; startThread is the only one to set it.
  const { data, loading } = workerData as ThreadStart;
  loading.close();
  return data;
}

/**
 * Ends a thread, once it has loaded what it needs: one that is ended while a native module (koffi) introduces itself to
 * it takes the whole process with it. ("FATAL ERROR: Error::ThrowAsJavaScriptException napi_throw") Until then the
 * process is held.
 */
export async function endThread(worker: Worker): Promise<void> {
  // By a timer, since an answer that still comes from the thread may make its owner let go of it.
  const hold = setInterval(() => undefined, LONG_MS);
  try {
    await loadings.get(worker);
    await worker.terminate();
  } finally {
    clearInterval(hold);
  }
}
