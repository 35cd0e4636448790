import { chmod, chown, mkdir, rmdir } from 'node:fs/promises';
import { existsSync, statSync } from 'node:fs';
import { messageOf, SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import { NameService } from '../files/name-service.js';
import { type RunProgram, runProgram } from '../files/run-program.js';
import { putFile } from './put-file.js';
import { putStore } from './put-store.js';
import type { CommandStep, FileStep, FolderStep, Owner, Step, StoreStep } from './steps.js';

export interface CarryOutOptions {
  /** What commands get; PATH is where they are looked for. */
  env: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, for the names of files that are kept. Default `Date.now`. */
  now?: () => number;
  /** Default: really runs it. */
  run?: RunProgram;
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
}

/** What a step did, and how to take it back. */
interface Done {
  what: string;
  undo: () => Promise<void>;
  settle: () => Promise<void>;
}

/** Reloading systemd or starting a timer takes seconds. */
const COMMAND_MS = 120_000;
const TAKEN_BACK = 'Nothing was changed: what had been done was taken back.';

/**
 * Does a plan's steps one after the other. Where one fails, those before it are taken back, the last one first, and
 * the error is thrown: SYSTEM, or ABORTED.
 */
export async function carryOut(steps: readonly Step[], options: CarryOutOptions): Promise<void> {
  const performer = new Performer(options);
  const done: Done[] = [];
  try {
    for (const step of steps) {
      throwIfAborted(options.signal);
      done.push(await performer.perform(step));
    }
  } catch (error) {
    await takeBack(done, options.onEvent);
    throw error;
  }
  for (const { settle } of done) await settle();
}

async function takeBack(done: readonly Done[], onEvent: EventListener | undefined): Promise<void> {
  for (const { what, undo } of done.toReversed()) {
    try {
      await undo();
    } catch (error) {
      const message = `could not take back: ${what}: ${messageOf(error)}`;
      onEvent?.({ type: 'log', level: 'error', message });
    }
  }
}

class Performer {
  readonly #options: CarryOutOptions;
  readonly #names = new NameService();

  constructor(options: CarryOutOptions) {
    this.#options = options;
  }

  async perform(step: Step): Promise<Done> {
    switch (step.kind) {
      case 'folder':
        return await this.#folder(step);
      case 'store':
        return await this.#store(step);
      case 'file':
        return await this.#file(step);
      case 'command':
        return await this.#command(step);
    }
  }

  async #folder({ path, mode, owner }: FolderStep): Promise<Done> {
    const nothing = async (): Promise<void> => {};
    if (existsSync(path)) {
      if (!statSync(path).isDirectory())
        throw new SysbackupError('SYSTEM', `${path} is there already, and no folder`, { hint: TAKEN_BACK });
      return { what: path, undo: nothing, settle: nothing };
    }
    const ids = await this.#idsOf(owner);
    await wrapped(`make the folder ${path}`, async () => {
      await mkdir(path, { mode: 0o700 });
      if (ids !== undefined) await chown(path, ids.uid, ids.gid);
      await chmod(path, mode);
    });
    return { what: `the folder ${path}`, undo: () => rmdir(path), settle: nothing };
  }

  async #store({ path, mode, owner, statePath }: StoreStep): Promise<Done> {
    const folder = await this.#folder({
      kind: 'folder',
      path,
      mode,
      ...(owner === undefined ? {} : { owner }),
    });
    try {
      const ids = await this.#idsOf(owner);
      const takeBack = await wrapped(`make the store ${path}`, () =>
        putStore({ path, owner: ids, statePath }),
      );
      return {
        ...folder,
        what: `the store ${path}`,
        undo: async () => {
          await takeBack();
          await folder.undo();
        },
      };
    } catch (error) {
      await folder.undo();
      throw error;
    }
  }

  async #file({ path, mode, owner, content, existing }: FileStep): Promise<Done> {
    const nothing = async (): Promise<void> => {};
    if (existing === 'keep' && existsSync(path)) return { what: path, undo: nothing, settle: nothing };
    const ids = await this.#idsOf(owner);
    const now = (this.#options.now ?? Date.now)();
    const put = await wrapped(`write ${path}`, () =>
      putFile({
        path,
        content,
        mode,
        owner: ids,
        keepAs: existing === 'keep-beside' && existsSync(path) ? freeNameFor(path, now) : undefined,
      }),
    );
    return { what: `the file ${path}`, undo: put.undo, settle: put.settle };
  }

  async #command({ command, undo }: CommandStep): Promise<Done> {
    await this.#run(command);
    return {
      what: command.join(' '),
      undo: async () => {
        if (undo !== undefined) await this.#run(undo);
      },
      settle: async () => {},
    };
  }

  async #run([program = '', ...args]: readonly string[]): Promise<void> {
    const run = this.#options.run ?? runProgram;
    const shown = [program, ...args].join(' ');
    const result = await wrapped(`run ${shown}`, () =>
      run(program, args, { env: withSystemPrograms(this.#options.env), timeoutMs: COMMAND_MS }),
    );
    if (result.status === 0) return;
    const said = result.stderr.toString().trim().split('\n').at(-1) ?? '';
    throw new SysbackupError(
      'SYSTEM',
      `${shown} failed with ${result.status === null ? 'a signal' : `exit code ${result.status}`}${said === '' ? '' : `: ${said}`}`,
    );
  }

  async #idsOf(owner: Owner | undefined): Promise<{ uid: number; gid: number } | undefined> {
    if (owner === undefined) return undefined;
    return { uid: await this.#idOf('passwd', owner.user), gid: await this.#idOf('group', owner.group) };
  }

  async #idOf(database: 'passwd' | 'group', name: string): Promise<number> {
    if (name === 'root') return 0;
    const account = (await this.#names.find(database, [name])).find((found) => found.name === name);
    if (account !== undefined) return account.id;
    const what = database === 'passwd' ? 'user' : 'group';
    throw new SysbackupError('SYSTEM', `there is no ${what} ${name} on this machine`);
  }
}

/** root's PATH is not always the one that has `useradd`. */
function withSystemPrograms(env: Readonly<Record<string, string>>): Record<string, string> {
  const { PATH = '/usr/bin:/bin' } = env;
  return { ...env, PATH: `${PATH}:/usr/sbin:/sbin` };
}

async function wrapped<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof SysbackupError) throw cause;
    throw new SysbackupError('SYSTEM', `cannot ${doing}: ${messageOf(cause)}`, {
      hint: TAKEN_BACK,
      cause,
    });
  }
}

/** Where an old file can be kept: by the time, and where that second has one already, by a number too. */
function freeNameFor(path: string, nowMs: number): string {
  const stamped = `${path}.${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  let name = `${stamped}.old`;
  for (let number = 2; existsSync(name); number++) name = `${stamped}-${number}.old`;
  return name;
}
