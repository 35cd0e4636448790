import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Pages that the kernel had to make for buffers that come and go in a process of their own. */
function pagesMade(first: string): number {
  const program = `
    const { keepFreedMemory } = await import(${JSON.stringify(import.meta.resolve('#cli/memory.js'))});
    const { releaseMemory } = await import(${JSON.stringify(import.meta.resolve('#src/release-memory.js'))});
    ${first};
    const round = () => {
      const buffers = Array.from({ length: 8 }, () => Buffer.allocUnsafeSlow(2 << 20).fill(1));
      for (const buffer of buffers) releaseMemory(buffer);
    };
    round();
    const before = process.resourceUsage().minorPageFault;
    for (let times = 0; times < 20; times++) round();
    process.stdout.write(String(process.resourceUsage().minorPageFault - before));
  `;
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', program]));
}

it('keeps the memory of freed buffers for those that come next', () => {
  const without = pagesMade('');
  // 20 rounds of 16 MiB are 81,920 pages of 4 KiB; other C libraries than glibc may keep them by themselves.
  expect(pagesMade('keepFreedMemory()')).toBeLessThan(Math.max(without / 4, 8000));
});
