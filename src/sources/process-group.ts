import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A child that leads a process group of its own, and how to end all of it. */
export class ProcessGroup {
  /** The leader's exit. A leader that survives SIGKILL (it may belong to another user) counts as killed. */
  readonly ended: Promise<ChildExit>;
  readonly #child: ChildProcess;
  readonly #id: number;
  #running = true;
  /** The leader left nobody behind: its number may be another's by now. */
  #empty = false;
  #giveUp: (exit: ChildExit) => void = () => {};

  constructor(child: ChildProcess, id: number) {
    this.#child = child;
    this.#id = id;
    this.ended = new Promise((resolve) => {
      this.#giveUp = resolve;
      child.once('exit', (code, signal) => {
        this.#running = false;
        this.#empty = !this.#signal(0);
        resolve({ code, signal });
      });
    });
  }

  /**
   * SIGTERM to all, and SIGKILL to what is left when the grace period is over, or when the leader has ended and
   * nobody holds its output open. Resolves when the leader has ended.
   */
  async stop(graceMs: number, isOutputClosed: () => boolean): Promise<void> {
    if (this.#empty) return;
    this.#signal('SIGTERM');
    // Zombies that nobody reaps (a container without an init) count as a group for ever: hence the output.
    await isTrueWithin(graceMs, () => !this.#running && (!this.#signal(0) || isOutputClosed()));
    this.#signal('SIGKILL');
    if (await isTrueWithin(graceMs, () => !this.#running)) return;
    this.#child.unref();
    this.#giveUp({ code: null, signal: 'SIGKILL' });
  }

  /** False where no process is left in the group. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    try {
      process.kill(-this.#id, signal);
      return true;
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'EPERM';
    }
  }
}

// Asked often: a group's number is not given to others while a process is in it, so no stranger is signalled.
async function isTrueWithin(ms: number, condition: () => boolean): Promise<boolean> {
  const until = performance.now() + ms;
  while (!condition()) {
    if (performance.now() >= until) return false;
    await delay(POLL_MS);
  }
  return true;
}
