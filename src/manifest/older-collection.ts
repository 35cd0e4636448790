import type { BytePath } from '../files/byte-path.js';
import { LineFault } from './line-fault.js';
import type { OlderList } from './older-document.js';
import { type OlderEntry, olderEntry } from './older-entry.js';
import { pathFields } from './paths.js';
import type { FileEntry, FileSystemEntry, ProblemLine } from './types.js';

/** What is in a manifest of the older format, as it comes and then in order. */
export class OlderCollection {
  readonly problems: ProblemLine[] = [];
  /** As they stand there: keys. */
  readonly snapshots: unknown[] = [];
  readonly #entries: OlderEntry[] = [];
  /** Of each file with several names, one that has its content. */
  readonly #withContent = new Map<string, FileEntry>();

  take(list: OlderList, item: unknown): void {
    if (list === 'snapshots') this.snapshots.push(item);
    else if (list === 'log') this.#note('older-log', typeof item === 'string' ? item : JSON.stringify(item));
    else this.#takeEntry(item);
  }

  #takeEntry(item: unknown): void {
    try {
      const taken = olderEntry(item);
      this.#entries.push(taken);
      const { path, entry, warning } = taken;
      if (warning !== undefined) this.#note('older-warning', warning, path);
      if (entry.typ === 'f' && entry.id !== undefined && !taken.isWithoutContent)
        this.#withContent.set(entry.id, entry);
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      this.#fail(`an entry of the manifest cannot be used: it ${error.message}`);
    }
  }

  /** By path, each once, all names of a file with its content. To be called once, when all has come. */
  inOrder(): FileSystemEntry[] {
    const entries = this.#entries;
    entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    const ordered: FileSystemEntry[] = [];
    let last: BytePath | undefined;
    for (const taken of entries) {
      const entry = this.#complete(taken);
      if (entry === undefined) this.#fail('has neither content nor another name that has it', taken.path);
      else if (taken.path === last)
        this.#fail('stands in the manifest more than once; the first counts', last);
      else ordered.push(entry);
      last = taken.path;
    }
    return ordered;
  }

  #complete({ entry, isWithoutContent }: OlderEntry): FileSystemEntry | undefined {
    if (!isWithoutContent || entry.typ !== 'f' || entry.id === undefined) return entry;
    const other = this.#withContent.get(entry.id);
    if (other === undefined) return undefined;
    const { dat, sha, size } = other;
    const { size: _, ...own } = entry;
    return { ...own, dat, sha, ...(size === undefined ? {} : { size }) };
  }

  #note(code: string, message: string, path?: BytePath): void {
    this.#add('note', code, message, path);
  }

  #fail(message: string, path?: BytePath): void {
    this.#add('failure', 'unusable-entry', message, path);
  }

  #add(severity: ProblemLine['severity'], code: string, message: string, path: BytePath | undefined): void {
    const where = path === undefined ? {} : pathFields(path);
    this.problems.push({ typ: 'problem', severity, code, message, ...where });
  }
}
