import { readdirSync, readFileSync } from 'node:fs';

/** Between two looks: short at first, since there are programs that end soon. */
const SHORTEST_MS = 2;
const LONGEST_MS = 20;

/**
 * Watches how much memory a process and all its descendants have, by /proc. The peak is the greater of two figures:
 * the largest sum of what all of them had in memory at one moment (a page that two share counts twice), and the
 * highest that the kernel noted for one of them (VmHWM), which misses nothing but the last 20 ms before its end.
 * `getrusage` would not do: what it tells of a program begins with what its parent had.
 */
export class MemoryWatch {
  readonly #pid: number;
  #peak = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(pid: number) {
    this.#pid = pid;
    this.#look(SHORTEST_MS);
  }

  /** Ends the watching. In bytes. */
  stop(): number {
    clearTimeout(this.#timer);
    return this.#peak;
  }

  #look(pause: number): void {
    this.#peak = Math.max(this.#peak, memoryOfTree(this.#pid));
    this.#timer = setTimeout(() => this.#look(Math.min(LONGEST_MS, pause * 1.1)), pause);
  }
}

function memoryOfTree(pid: number): number {
  let sum = 0;
  let highest = 0;
  for (const member of treeOf(pid)) {
    const status = contentOf(`/proc/${member}/status`);
    sum += kibibytes(status, 'VmRSS');
    highest = Math.max(highest, kibibytes(status, 'VmHWM'));
  }
  return Math.max(sum, highest) * 1024;
}

function* treeOf(pid: string | number): Generator<string> {
  yield String(pid);
  // A child belongs to the thread that started it.
  for (const thread of threadsOf(pid)) {
    const children = contentOf(`/proc/${pid}/task/${thread}/children`);
    for (const child of children.split(' ')) if (child !== '') yield* treeOf(child);
  }
}

function threadsOf(pid: string | number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It has ended.
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0);
}
