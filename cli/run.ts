import { CommanderError } from 'commander';
import { fstatSync, readFileSync } from 'node:fs';
import { homedir, hostname, userInfo } from 'node:os';
import { COMMANDS } from './commands/registry.js';
import { keepFreedMemory, limitHeapGrowth } from './memory.js';
import { Interrupts } from './interrupts.js';
import { LogFile } from './log-file.js';
import { SysbackupError, messageOf } from '../src/index.js';
import { failureOf, jsonOfFailure, stackLines } from './presentation/failure.js';
import { HeldBack } from './presentation/held-back.js';
import { Log, type LogSink, journalSink, plainSink, timedSink } from './presentation/log.js';
import { Screen } from './presentation/screen.js';
import { buildProgram, type Invocation } from './program.js';
import { questionOn } from './question.js';
import type { Session } from './session.js';
import { StandardOutput } from './standard-output.js';
import { usageError } from './usage-error.js';

/** Commands that are quick by memory that grows and is kept; archive limits its heap when there is much to do. */
const GROWING: ReadonlySet<string> = new Set(['archive', 'restore']);

/** Commands that are for what they write to standard output. Others say so where that is for one of their options. */
const PRODUCING: ReadonlySet<string> = new Set(['cat', 'ls', 'list', 'diff', 'check-config']);

/** Runs the command line of this process, and resolves with the exit code when all output has gone out. */
export async function runCommandLine(): Promise<number> {
  return await new CommandLine().run(process.argv.slice(2));
}

/** The one place that knows the process: its arguments, environment, streams and signals. */
class CommandLine {
  readonly #output = new StandardOutput(process.stdout);
  readonly #terminal = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';
  readonly #screen = new Screen(process.stderr);
  readonly #interrupts = new Interrupts();
  #log = new Log('info', [plainSink((text) => this.#screen.line(text))]);
  #json = false;
  #exitCode = 0;
  /** What --quiet keeps from being said. */
  #held: HeldBack | undefined;
  #logFile: LogFile | undefined;

  async run(args: readonly string[]): Promise<number> {
    // Whoever reads the messages may go away before the backup is done.
    process.stderr.on('error', () => undefined);
    // A file that grows beyond `ulimit -f` is a write that fails, and not the end of the process.
    process.on('SIGXFSZ', () => undefined);
    // Nobody knows in what state the work is then.
    process.on('uncaughtException', (error) => process.exit(this.#fail(error, [])));
    // As the command line itself may be wrong: where it is right, commander says the same.
    this.#json = args.includes('--json');
    const version = versionOfThis();
    const program = buildProgram({
      version,
      writeOut: (text) => this.#output.write(text),
      writeErr: (text) => process.stderr.write(text),
      run: async (invocation) => {
        this.#exitCode = await this.#runCommand(invocation, version);
      },
    });
    try {
      await program.parseAsync(args, { from: 'user' });
    } catch (error) {
      this.#exitCode = this.#fail(error, args);
    }
    await this.#output.flush();
    if (this.#output.failure !== undefined) this.#exitCode = this.#outputFailed(this.#output.failure);
    if (this.#exitCode === 0) this.#held?.drop();
    else this.#held?.show();
    this.#logFile?.close();
    return this.#exitCode;
  }

  /** Gives the exit code where standard output could not be written whole. */
  #outputFailed(failure: Error): number {
    const message = `cannot write to standard output: ${messageOf(failure)}`;
    if (this.#output.isProduct)
      return this.#exitCode || this.#fail(new SysbackupError('SYSTEM', message), []);
    this.#log.write('warning', message);
    return this.#exitCode;
  }

  async #runCommand(
    { module, command, globals, confDirGiven }: Invocation,
    version: string,
  ): Promise<number> {
    const toPerson = isJournal(process.stderr.fd, process.env['JOURNAL_STREAM']) ? journalSink : plainSink;
    const person = toPerson((text) => this.#screen.line(text));
    this.#json = globals.json === true;
    const quiet = !this.#json && (globals.quiet === true || globals.logLevel === 'error');
    this.#held = quiet ? new HeldBack(person) : undefined;
    const sinks: LogSink[] = [this.#held ?? person];
    const toFile =
      globals.logTo === undefined ? [] : [this.#logTo(globals.logTo, new Log(globals.logLevel, sinks))];
    this.#log = new Log(globals.logLevel, [...sinks, ...toFile]);
    const fileLog = new Log(globals.logLevel, toFile);
    this.#output.isProduct = PRODUCING.has(command.name());
    this.#listenForSignals();
    const session: Session = {
      globals,
      confDirGiven,
      env: environment(),
      user: { uid: process.geteuid?.() ?? 0, home: homedir() },
      host: hostname(),
      userAtHost: `${userName()}@${hostname()}`,
      workingFolder: process.cwd(),
      tool: `s3-sysbackup ${version}`,
      output: this.#output,
      log: this.#log,
      fileLog,
      quiet,
      screen: this.#screen,
      terminal: this.#terminal,
      question:
        process.stdin.isTTY === true && process.stderr.isTTY === true
          ? questionOn({ input: process.stdin, output: process.stderr, signal: this.#interrupts.signal })
          : undefined,
      signal: this.#interrupts.signal,
    };
    if (GROWING.has(command.name())) keepFreedMemory();
    else limitHeapGrowth();
    try {
      return await module.run(command, session);
    } catch (error) {
      return this.#fail(error, []);
    } finally {
      this.#log.writeRest();
      fileLog.writeRest();
    }
  }

  /** The file of --log-to, as a sink. That it cannot be written is reported once, and changes nothing else. */
  #logTo(path: string, toPerson: Log): LogSink {
    const file = new LogFile(path, (message) => toPerson.write('warning', message));
    this.#logFile = file;
    return timedSink((text) => file.line(text), Date.now);
  }

  #listenForSignals(): void {
    this.#interrupts.listen(process, {
      onFirst: (signal) => {
        if (this.#terminal) this.#screen.status('');
        this.#log.write('warning', `${signal}: stopping in order; once more to stop at once`);
        this.#held?.show();
      },
      onSecond: (exitCode) => {
        this.#held?.show();
        process.exit(exitCode);
      },
    });
  }

  /** Says what went wrong, and gives the exit code. */
  #fail(error: unknown, args: readonly string[]): number {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // The help that is shown where no command is named.
      if (error.code === 'commander.help') return 2;
      return this.#fail(usageError(error, commandOf(args)), args);
    }
    if (this.#terminal) this.#screen.status('');
    const failure = failureOf(error);
    const stoppedBy = this.#interrupts.received;
    if (stoppedBy !== undefined && failure.code === 'ABORTED') failure.message = `stopped by ${stoppedBy}`;
    failure.exitCode = this.#interrupts.exitCode ?? failure.exitCode;
    if (this.#json) this.#output.json(jsonOfFailure(failure));
    this.#log.writeBare('error', `s3-sysbackup: ${failure.message}`);
    if (failure.hint !== undefined) this.#log.writeBare('error', `hint: ${failure.hint}`);
    if (this.#log.takes('debug')) for (const line of stackLines(error)) this.#log.writeBare('debug', line);
    return failure.exitCode;
  }
}

/** The command's words for a hint, as far as the arguments name one. */
function commandOf(args: readonly string[]): string {
  const name = args.find((arg) => COMMANDS.some((command) => command.name === arg));
  return name === undefined ? 's3-sysbackup' : `s3-sysbackup ${name}`;
}

function versionOfThis(): string {
  // From dist/cli/run.js.
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version);
  return 'unknown';
}

function environment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
  return env;
}

/** The number where the user has no name: in containers that is common. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.geteuid?.() ?? 0);
  }
}

/** Whether systemd connected this descriptor to its journal: `JOURNAL_STREAM` in systemd.exec(5). */
function isJournal(descriptor: number, stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(descriptor);
  return stream === `${dev}:${ino}`;
}
