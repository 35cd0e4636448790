const SMALLEST = 256 * 1024;

/**
 * One buffer that readings use in turn, grown to what was asked for. What was put there is valid until the next
 * call.
 */
export class Scratch {
  private buffer = Buffer.alloc(0);

  bytes(length: number): Buffer {
    // By doubling: a folder of ever larger files must not mean an allocation for each.
    if (this.buffer.length < length)
      this.buffer = Buffer.allocUnsafeSlow(Math.max(SMALLEST, length, Math.min(2 * this.buffer.length, 2 ** 24)));
    return this.buffer.subarray(0, length);
  }
}
