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

  /** SIGTERM to all, and SIGKILL to what is left after the grace period. Resolves when the leader has ended. */
  async stop(graceMs: number): Promise<void> {
    if (this.#empty) return;
    this.#signal('SIGTERM');
    if (await this.#isGoneWithin(graceMs)) return;
    this.#signal('SIGKILL');
    if (await this.#isGoneWithin(graceMs)) return;
    this.#child.unref();
    this.#giveUp({ code: null, signal: 'SIGKILL' });
  }

  // Asked for often and only as long as the answer is yes: a group's number is not given to others while a
  // process is in it, so no stranger is ever signalled.
  async #isGoneWithin(ms: number): Promise<boolean> {
    const until = performance.now() + ms;
    for (;;) {
      if (!this.#running && !this.#signal(0)) return true;
      if (performance.now() >= until) return false;
      await delay(POLL_MS);
    }
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
