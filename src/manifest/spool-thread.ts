import { rm } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import { SysbackupError } from '../errors.js';
import { OwnMemory } from '../own-memory.js';
import { endThread, startThread } from '../threads.js';
import type { Member } from './member.js';
import type { ManifestSink, SpooledManifest } from './spool.js';

type Asked =
  | { kind: 'append'; lines: Uint8Array }
  | { kind: 'carry'; member: Uint8Array; linesLength: number }
  | { kind: 'hash' }
  | { kind: 'close' };

export type SpoolRequest = Asked & { id: number };
export interface SpoolAnswer {
  member?: Member;
  sha256?: string;
  spooled?: SpooledManifest;
}
export interface SpoolFailure {
  message: string;
  hint?: string;
}
interface SpoolMessage {
  id: number;
  answer?: SpoolAnswer;
  failure?: SpoolFailure;
}

interface Waiting {
  resolve: (answer: SpoolAnswer) => void;
  reject: (error: unknown) => void;
}

/**
 * A manifest's spool in a thread of its own. What a large unchanged machine carries over from its last manifest has to
 * be unpacked and hashed all the same; here that happens beside the comparing, and its garbage is in another heap.
 */
export class SpoolThread implements ManifestSink {
  readonly path: string;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #failure: SysbackupError | undefined;

  constructor(path: string) {
    this.path = path;
    this.#worker = startThread(new URL('./spool-worker.js', import.meta.url), path, 4);
    this.#worker.on('message', ({ id, answer, failure }: SpoolMessage) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (answer !== undefined) waiting?.resolve(answer);
      else waiting?.reject(new SysbackupError('SYSTEM', failure?.message ?? '', failure));
    });
    this.#worker.on('messageerror', (error) => this.#fail(error.message));
    this.#worker.on('error', (error) => this.#fail(error.message));
    this.#worker.on('exit', (code) => this.#fail(`it ended with code ${code}`));
  }

  async append(lines: OwnMemory): Promise<Member> {
    const { view, buffer } = lines.transfer();
    return memberOf(await this.#ask({ kind: 'append', lines: view }, [buffer]));
  }

  async carry(member: OwnMemory, linesLength: number): Promise<void> {
    const { view, buffer } = member.transfer();
    await this.#ask({ kind: 'carry', member: view, linesLength }, [buffer]);
  }

  async finish(footer: (linesSha256: string) => Buffer): Promise<SpooledManifest> {
    const { sha256 = '' } = await this.#ask({ kind: 'hash' });
    await this.append(OwnMemory.of(footer(sha256)));
    const { spooled } = await this.#ask({ kind: 'close' });
    this.#failure ??= new SysbackupError('SYSTEM', 'the manifest is ended already');
    await endThread(this.#worker);
    return spooled ?? { path: this.path, size: 0, md5: '' };
  }

  async discard(): Promise<void> {
    this.#fail('the run ends early');
    await endThread(this.#worker);
    await rm(this.path, { force: true });
  }

  #ask(asked: Asked, transfer: ArrayBuffer[] = []): Promise<SpoolAnswer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      const request: SpoolRequest = { ...asked, id };
      this.#worker.postMessage(request, transfer);
    });
  }

  #fail(reason: string): void {
    this.#failure ??= new SysbackupError('SYSTEM', `the thread that writes the manifest failed: ${reason}`);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

function memberOf({ member }: SpoolAnswer): Member {
  if (member === undefined)
    throw new SysbackupError('SYSTEM', 'the thread that writes the manifest lost count');
  return member;
}
