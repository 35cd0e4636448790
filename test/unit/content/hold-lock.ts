import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Whether the `flock` program of util-linux is there. */
export const hasFlockProgram = (() => {
  try {
    execFileSync('flock', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Another process that holds the file's exclusive advisory lock until `release` is called. */
export async function holdLock(path: string): Promise<{ release(): Promise<void> }> {
  const holder: ChildProcess = spawn('flock', ['--no-fork', '-x', path, 'sh', '-c', 'echo held; read line'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(holder, 'exit');
  if (!holder.stdout) throw new Error('no output to wait for');
  await once(holder.stdout, 'data');
  return {
    async release() {
      holder.stdin?.end();
      await exited;
    },
  };
}
