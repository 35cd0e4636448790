import { readFileSync } from 'node:fs';

/**
 * Environment in which a Node program writes, when it exits, how much memory it had at most. As the kernel counted it
 * for this program alone: what `getrusage` tells begins with what its parent had.
 */
export function measuringMemory(file: string): Record<string, string> {
  const code = `
    import { isMainThread } from 'node:worker_threads';
    import { readFileSync, writeFileSync } from 'node:fs';
    if (isMainThread) process.on('exit', () => writeFileSync(${JSON.stringify(file)}, readFileSync('/proc/self/status')));
  `;
  return { NODE_OPTIONS: `--import data:text/javascript;base64,${Buffer.from(code).toString('base64')}` };
}

/** Of a program that has ended, in bytes: of all its threads, pages that are in memory (VmHWM, proc(5)). */
export function peakMemory(file: string): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(file, 'utf8'));
  if (line === null) throw new Error(`${file} is no status of a process`);
  return Number(line[1]) * 1024;
}
