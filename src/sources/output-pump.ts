import { Socket } from 'node:net';

/** Bytes taken after the program's own end: far more than a pipe holds, so all of the program's are among them. */
const MAX_BYTES_AFTER_END = 16 * 1024 * 1024;

/**
 * Reads a pipe to its end, chunk by chunk, and reads on only when the last chunk has been dealt with.
 *
 * A process that the program left behind may keep the pipe open for ever. So once the program has ended, waiting
 * is limited: the sum of all waits, not the time the consumer takes, so that nothing the program itself printed
 * is lost however slow the consumer is. What floods the pipe is cut by its amount.
 */
export class OutputPump {
  /** `cut`: the pipe was still open when the time for it was over. Never rejects. */
  readonly done: Promise<'ended' | 'cut'>;
  readonly #socket: Socket;
  #afterEnd: { waitMs: number; bytes: number } | undefined;
  #waitingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cut = false;

  /** Takes the descriptor over. `onFailure` is told once if `consume` throws or the pipe cannot be read. */
  constructor(
    readEnd: number,
    consume: (chunk: Buffer) => void | Promise<void>,
    onFailure: (error: unknown) => void,
  ) {
    this.#socket = new Socket({ fd: readEnd, readable: true, writable: false });
    this.done = this.#read(consume, onFailure);
  }

  /** The program has ended: wait `waitMs` at most for the pipe's end. Called again, the shorter time counts. */
  programEnded(waitMs: number): void {
    this.#stopWaiting();
    this.#afterEnd ??= { waitMs, bytes: 0 };
    this.#afterEnd.waitMs = Math.min(this.#afterEnd.waitMs, waitMs);
    if (this.#waitingSince !== undefined) this.#startWaiting();
  }

  async #read(
    consume: (chunk: Buffer) => void | Promise<void>,
    onFailure: (error: unknown) => void,
  ): Promise<'ended' | 'cut'> {
    try {
      this.#startWaiting();
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        this.#stopWaiting();
        this.#waitingSince = undefined;
        const pending = consume(chunk);
        if (pending !== undefined) await pending;
        if (this.#afterEnd) {
          this.#afterEnd.bytes += chunk.length;
          if (this.#afterEnd.bytes > MAX_BYTES_AFTER_END) this.#cut = true;
        }
        if (this.#cut) break;
        this.#startWaiting();
      }
    } catch (error) {
      // A destroyed socket ends its iterator with an error of its own.
      if (!this.#cut) onFailure(error);
    } finally {
      this.#stopWaiting();
      this.#waitingSince = undefined;
    }
    return this.#cut ? 'cut' : 'ended';
  }

  #startWaiting(): void {
    this.#waitingSince = performance.now();
    if (!this.#afterEnd) return;
    this.#timer = setTimeout(() => {
      this.#cut = true;
      this.#socket.destroy();
    }, this.#afterEnd.waitMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    if (this.#afterEnd && this.#waitingSince !== undefined) {
      this.#afterEnd.waitMs -= performance.now() - this.#waitingSince;
    }
  }
}
