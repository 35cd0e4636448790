/** Cuts a stream of bytes into lines without copying more than the line that a chunk's end cuts through. */
export class LineSplitter {
  private readonly longest: number;
  private rest: Buffer[] = [];
  private restLength = 0;

  /** `longest`: bytes that a line may have without its newline. */
  constructor(longest: number) {
    this.longest = longest;
  }

  /** Bytes seen after the last newline. */
  get pending(): number {
    return this.restLength;
  }

  /**
   * The lines that end in this chunk, without their newlines. They are views, good until the next call.
   * Returns undefined where a line has become too long.
   */
  push(chunk: Buffer): Buffer[] | undefined {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      if (this.restLength + end - start > this.longest) return undefined;
      lines.push(this.completed(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length) {
      this.rest.push(chunk.subarray(start));
      this.restLength += chunk.length - start;
    }
    return this.restLength > this.longest ? undefined : lines;
  }

  private completed(end: Buffer): Buffer {
    if (this.restLength === 0) return end;
    const line = Buffer.concat([...this.rest, end]);
    this.rest = [];
    this.restLength = 0;
    return line;
  }
}
