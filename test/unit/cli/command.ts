import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** The built command. */
export const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface StartOptions {
  /** Beside what every command here gets. */
  env?: Record<string, string>;
  cwd?: string;
}

/** A command under way. */
export class Command {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;

  constructor(args: readonly string[], options: StartOptions = {}) {
    const { PATH = '', HOME = '', TMPDIR } = process.env;
    const env = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...options.env };
    this.child = spawn(process.execPath, [MAIN, ...args], {
      env,
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = once(this.child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr,
    }));
  }

  /** Resolves when what was written holds the text. Rejects where the command ends before. */
  async says(text: string, where: 'stdout' | 'stderr' = 'stderr'): Promise<void> {
    const stream = this.child[where];
    while (!this[where].includes(text)) {
      if (stream === null || stream.readableEnded)
        throw new Error(`ended without saying ${text}: ${this[where]}`);
      await new Promise<void>((resolve) => {
        stream.once('data', () => resolve());
        stream.once('end', () => resolve());
      });
    }
  }
}

/** Runs the command to its end. */
export async function run(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return await new Command(args, options).ended;
}

/** The objects of output that is JSON lines. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Lines of a conf with `bundle_below = 0`, unless they set it: small files stand by themselves, where tests find them. */
function withoutBundles(conf: string): string {
  if (conf.includes('bundle_below')) return conf;
  const set = 'bundle_below = 0\n';
  const content = /^\[content\]\n(?:[^[\n].*\n)*/m;
  return content.test(conf) ? conf.replace(content, `$&${set}`) : `${conf}[content]\n${set}`;
}

/** A folder of its own for a test, with a conf that stores in a directory. Removed at the test's end. */
export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), 'sysbackup-cli-'));
  readonly confDir = join(this.folder, 'conf');
  readonly store = join(this.folder, 'store');
  readonly data = join(this.folder, 'data');

  constructor(conf = '') {
    for (const folder of ['pickers.d', 'snapshots.d'])
      mkdirSync(join(this.confDir, folder), { recursive: true });
    mkdirSync(this.data);
    this.writeConf(`[directory]\npath = ../store\n[state]\npath = ../state\n${withoutBundles(conf)}`);
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  writeConf(text: string): void {
    writeFileSync(join(this.confDir, 'conf'), text);
  }

  /** A shell script as a picker. */
  picker(name: string, script: string): void {
    this.#executable('pickers.d', name, script);
  }

  snapshotter(name: string, script: string): void {
    this.#executable('snapshots.d', name, script);
  }

  /** Picks everything below {@link data}. */
  pickData(): void {
    this.picker('10-data', `find '${this.data}' -print0`);
  }

  async archive(...args: string[]): Promise<Ended> {
    return await run(['archive', '--conf-dir', this.confDir, ...args]);
  }

  #executable(folder: string, name: string, script: string): void {
    const path = join(this.confDir, folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }
}
