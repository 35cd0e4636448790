import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { releaseMemory, releaseOnlyView } from '#src/release-memory.js';

const MiB = 1 << 20;

/** Bytes that all buffers of this thread take. */
const inBuffers = (): number => process.memoryUsage().arrayBuffers;

describe('releaseMemory', () => {
  it('frees the memory before it returns, of all views of a buffer', () => {
    const before = inBuffers();
    const bytes = new Uint8Array(64 * MiB);
    const words = new Uint32Array(bytes.buffer);
    expect(inBuffers() - before).toBeGreaterThan(60 * MiB);
    releaseMemory(words);
    expect(inBuffers() - before).toBeLessThan(4 * MiB);
    expect([bytes.length, words.length]).toEqual([0, 0]);
  });

  it('does so from the moment on in which it has been loaded', () => {
    const program = `
      const { releaseMemory } = await import(${JSON.stringify(import.meta.resolve('#src/release-memory.js'))});
      const before = process.memoryUsage().arrayBuffers;
      for (let times = 0; times < 16; times++) releaseMemory(new Uint8Array(${MiB}));
      process.stdout.write(String(process.memoryUsage().arrayBuffers - before));
    `;
    const left = execFileSync(process.execPath, ['--input-type=module', '--eval', program]);
    expect(Number(left)).toBeLessThan(MiB);
  });

  it("leaves what others share: Node's pool and shared memory", () => {
    const pooled = Buffer.from('short');
    const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(7);
    releaseMemory(pooled);
    releaseMemory(shared);
    expect(pooled.toString()).toBe('short');
    expect(shared[7]).toBe(7);
  });

  it('leaves a buffer of which it is given a part: somebody may have the rest', () => {
    const bytes = new Uint8Array(MiB).fill(7);
    releaseMemory(bytes.subarray(1));
    releaseMemory(bytes.subarray(0, MiB - 1));
    expect([bytes.length, bytes[0], bytes[MiB - 1]]).toEqual([MiB, 7, 7]);
    releaseOnlyView(bytes.subarray(1));
    expect(bytes.length).toBe(0);
  });

  it('does nothing where there is nothing left', () => {
    const bytes = new Uint8Array(8);
    releaseMemory(bytes);
    releaseMemory(bytes);
    expect(bytes.length).toBe(0);
  });
});
