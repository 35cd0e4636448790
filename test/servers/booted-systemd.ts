import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Ended } from '../kit/built-program.js';

const SCRIPT = fileURLToPath(new URL('boot-systemd.sh', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));
/** It takes a second or two. */
const BOOT_MS = 60_000;

/** Where the built program is in there, and what starts it. */
export const PROGRAM_THERE = ['/opt/node/bin/node', '/opt/s3-sysbackup/dist/cli/main.js'] as const;

/** A system of its own with a real systemd, on a copy of this machine's files. */
export class BootedSystemd {
  /** On this machine; `/mnt` in there. */
  readonly folder: string;
  readonly #script: ChildProcess;

  private constructor(folder: string, script: ChildProcess) {
    this.folder = folder;
    this.#script = script;
  }

  /** Throws where this machine has no systemd, or lets nobody boot one. */
  static async boot(): Promise<BootedSystemd> {
    if (!existsSync('/lib/systemd/systemd')) throw new Error('there is no systemd');
    const folder = mkdtempSync(join(tmpdir(), 's3-sysbackup-systemd-'));
    // Not everybody in there is root.
    chmodSync(folder, 0o755);
    const fifo = join(folder, 'booted');
    execFileSync('mkfifo', [fifo]);
    const node = dirname(dirname(process.execPath));
    const script = spawn(SCRIPT, [folder, node, PACKAGE], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    script.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const stopped = once(script, 'close').then(() => {
      throw new Error(`it did not boot: ${said.trim().split('\n').at(-1)}`);
    });
    // It ends one day, and then nobody asks why.
    stopped.catch(() => undefined);
    const booted = promisify(execFile)('cat', [fifo], { timeout: BOOT_MS });
    booted.catch(() => undefined);
    const system = new BootedSystemd(folder, script);
    try {
      await Promise.race([booted, stopped]);
      return system;
    } catch (error) {
      booted.child.kill();
      await system.stop();
      throw error;
    }
  }

  /** Runs a shell script in there, as root. */
  async sh(script: string): Promise<Ended> {
    const init = childOf(childOf(String(this.#script.pid)));
    const inside = ['-t', init, '-m', '-p', '-i', '-u', '-C', '-r', '-w', '--', 'sh', '-c', script];
    const child = spawn('nsenter', inside, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    const ended: Ended = { code: null, signal: null, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ended.stderr += text));
    [ended.code] = (await once(child, 'close')) as [number | null];
    return ended;
  }

  async stop(): Promise<void> {
    if (this.#script.exitCode === null && this.#script.signalCode === null) {
      const ended = once(this.#script, 'close');
      this.#script.kill('SIGTERM');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** As {@link BootedSystemd.boot}; undefined, said loudly, where none can be had. */
export async function bootedOrSkip(): Promise<BootedSystemd | undefined> {
  try {
    return await BootedSystemd.boot();
  } catch (error) {
    // In a container that may not do that nobody can mend it, so it fails nowhere.
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`\n*** SKIPPED: no systemd can be booted here: ${reason} ***\n\n`);
    return undefined;
  }
}

function childOf(pid: string): string {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  if (child === undefined || child === '') throw new Error(`the process ${pid} has no child`);
  return child;
}
