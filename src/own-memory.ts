import { releaseOnlyView } from './release-memory.js';

/**
 * Memory that has one owner at a time, who hands it on or frees it. The one before has nothing of it any more: after
 * {@link release} or {@link transfer} every read throws, where a view that was kept would silently be empty, or would be
 * what frees the memory under its new owner.
 */
export class OwnMemory<View extends Uint8Array | Uint32Array | Int32Array = Buffer> {
  #view: View | undefined;

  private constructor(view: View) {
    this.#view = view;
  }

  /**
   * Takes over the memory that a view fills. Of a part of a longer buffer it takes a copy: somebody may have the rest.
   */
  static of<View extends Uint8Array | Uint32Array | Int32Array>(view: View): OwnMemory<View> {
    const isWhole = view.byteLength === view.buffer.byteLength && view.buffer instanceof ArrayBuffer;
    return new OwnMemory(isWhole ? view : copyOf(view));
  }

  /** Takes over what has just been made and nobody else has a view of, although its buffer may be longer. */
  static ofOnlyView<View extends Uint8Array | Uint32Array | Int32Array>(view: View): OwnMemory<View> {
    return new OwnMemory(view);
  }

  /** The memory, to be read or filled at once and not to be kept. Throws where it has been given away. */
  get view(): View {
    if (this.#view === undefined) throw new Error('memory is used that has been given away');
    return this.#view;
  }

  /** Frees it at once. More often does no harm. */
  release(): void {
    if (this.#view !== undefined) releaseOnlyView(this.#view);
    this.#view = undefined;
  }

  /** Gives it to another thread: what is to be posted, with its buffer in the list of what goes along. */
  transfer(): { view: View; buffer: ArrayBuffer } {
    const whole = OwnMemory.of(this.view);
    this.#view = undefined;
    const { view } = whole;
    return { view, buffer: view.buffer as ArrayBuffer };
  }
}

function copyOf<View extends Uint8Array | Uint32Array | Int32Array>(view: View): View {
  // The `slice` of a Buffer is a view.
  const copy = view instanceof Uint8Array ? Uint8Array.prototype.slice.call(view) : view.slice();
  return copy as View;
}
