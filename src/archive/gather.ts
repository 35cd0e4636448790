import { explainedErrno } from '../errno-names.js';
import { readlinkSync } from 'node:fs';
import { errnoOf, messageOf } from '../errors.js';
import type { Problem } from '../events.js';
import {
  type BytePath,
  displayPath,
  joinPath,
  parentOf,
  pathForFs,
  pathFromBytes,
} from '../files/byte-path.js';
import { type FileKind, FileStat, kindOfWords, PACKED_STAT_WORDS, packedLstatWords } from '../files/stat.js';
import type { StatBatch } from '../files/stat-batch.js';
import type { PickedPaths } from './picked-paths.js';

/** As many links on the way as the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40;
/** Bytes of a path that the kernel takes, with its NUL (limits.h). */
const PATH_MAX = 4096;
/** Folders and links remembered; beyond, they are looked at again, which costs time and nothing else. */
const MAX_FOLDERS = 100_000;

/** Missing paths remembered until the next run. */
const MOST_MISSING = 1000;

/** A folder's real path, or why it has none. */
type Folder = { real: BytePath } | { problem: Omit<Problem, 'path'> };

/**
 * Turns what pickers print into the paths that get an entry: the picked path itself at its real place, every folder
 * above it, every symlink on the way and each link of a picked symlink's chain with the file at its end. Each is
 * lstat'ed once, here; that stat goes along and decides later whether the file is unchanged.
 *
 * Called once per path of the machine: synchronous, and what the last path had in common is not done again.
 */
export class Gatherer {
  readonly #picked: PickedPaths;
  readonly #report: (problem: Problem) => void;
  readonly #startedNs: bigint;
  #folders = new Map<string, Folder>();
  #lastFolder = '';
  #lastReal: BytePath | undefined;
  /** What was looked at last, here. */
  readonly #words = new Int32Array(PACKED_STAT_WORDS);
  readonly #stat = new FileStat(Buffer.from(this.#words.buffer));
  /** Picked paths that were not there, the first of them. */
  readonly missing: string[] = [];
  readonly #lastMissing: ReadonlySet<string>;
  readonly #followed = new Set<BytePath>();
  /** The links of the chain being followed. */
  #chain: BytePath[] = [];
  /** The file or directory that a chain led to. */
  #end: BytePath | undefined;
  /**
   * Where the path picked last is a symlink that leads to a file or directory by one step, through folders that are
   * all named in the path there: that path.
   */
  leadsTo: BytePath | undefined;
  /** Special files met, each noted once. */
  #noted = new Set<BytePath>();

  /**
   * @param startedNs when the first picker began, nanoseconds by the machine's clock
   * @param lastMissing {@link missing} of the last run
   */
  constructor(
    picked: PickedPaths,
    report: (problem: Problem) => void,
    startedNs: bigint,
    lastMissing: readonly string[] = [],
  ) {
    this.#lastMissing = new Set(lastMissing);
    this.#picked = picked;
    this.#report = report;
    // File systems stamp with the time of the kernel's last tick.
    this.#startedNs = startedNs - 20_000_000n;
  }

  /** Whether the path is a folder's and no symlink is on the way to it; then it is taken, with all folders above. */
  isRealFolder(path: BytePath): boolean {
    const folder = this.#folder(path, 0);
    return 'real' in folder && folder.real === path;
  }

  /**
   * All has been picked: gives up what is known of folders and links. Their paths may be parts of what pickers printed,
   * and keep all of that in memory: 57 MB of a million files' paths.
   */
  forget(): void {
    this.#folders.clear();
    this.#followed.clear();
    this.#noted.clear();
    this.#lastFolder = '';
    this.#lastReal = undefined;
  }

  /** This folder has its entry already, and no symlink is on the way to it. */
  knowFolder(path: BytePath): void {
    if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
    this.#folders.set(path, { real: path });
  }

  /** @param path absolute; lstat said of it, as it was printed, what stands at `index` of `stats` */
  pick(path: BytePath, picker: string, stats: StatBatch, index: number): void {
    this.leadsTo = undefined;
    if (path.length >= PATH_MAX) {
      this.#reportFolder(unreachable('ENAMETOOLONG'), path, parentOf(path), picker);
      return;
    }
    if (NEEDS_WALK.test(path)) {
      this.#walkPicked(path, picker);
      return;
    }
    const slash = path.lastIndexOf('/');
    const folderPath = slash === 0 ? '/' : path.slice(0, slash);
    let real: BytePath;
    if (folderPath === this.#lastFolder && this.#lastReal !== undefined) {
      real = this.#lastReal;
    } else {
      const folder = this.#folder(folderPath as BytePath, 0);
      if ('problem' in folder) {
        this.#reportFolder(folder.problem, path, parentOf(path), picker);
        return;
      }
      real = folder.real;
      this.#lastFolder = folderPath;
      this.#lastReal = real;
    }
    const problem =
      real === folderPath
        ? this.#takeLookedAt(real, path, stats, index)
        : this.#take(joinPath(real, path.slice(slash + 1)), 0);
    if (problem !== undefined) this.#reportFolder(problem, path, real, picker);
  }

  #takeLookedAt(
    folder: BytePath,
    path: BytePath,
    stats: StatBatch,
    index: number,
  ): Omit<Problem, 'path'> | undefined {
    const errno = stats.errors.size === 0 ? undefined : stats.errors.get(index);
    if (errno !== undefined) return unreachable(errno);
    return this.#takeAs(folder, path, stats.words, index * PACKED_STAT_WORDS, 0);
  }

  /** Takes one path whose folder is real. Returns what is wrong with it. */
  #take(path: BytePath, links: number): Omit<Problem, 'path'> | undefined {
    if (links > 0 && this.#chain.includes(path)) return loop(path);
    const errno = packedLstatWords(path, this.#words, 0);
    if (errno !== undefined) return unreachable(errno);
    return this.#takeAs(parentOf(path), path, this.#words, 0, links);
  }

  /** Takes one path of which the stat is known. */
  #takeAs(
    folder: BytePath,
    path: BytePath,
    words: Int32Array,
    at: number,
    links: number,
  ): Omit<Problem, 'path'> | undefined {
    const kind = kindOfWords(words, at);
    switch (kind) {
      case 'file':
      case 'directory':
        this.#picked.add(folder, path, words, at);
        this.#end = links === 1 ? path : undefined;
        return undefined;
      case 'symlink':
        this.#picked.add(folder, path, words, at);
        return this.#followOnce(path, links + 1);
      default:
        this.#noteSpecial(path, kind);
        return undefined;
    }
  }

  /** A link that was come by before, picked or in another's chain, has brought and told all it can. */
  #followOnce(link: BytePath, links: number): Omit<Problem, 'path'> | undefined {
    if (this.#followed.has(link)) return undefined;
    if (this.#followed.size >= MAX_FOLDERS) this.#followed.clear();
    this.#followed.add(link);
    return this.#follow(link, links);
  }

  /** Takes what a symlink points to, when it can be reached; a dangling link is complete by itself. */
  #follow(link: BytePath, links: number): Omit<Problem, 'path'> | undefined {
    if (links > MAX_LINKS) return loop(link);
    const target = readTarget(link);
    if (target === undefined) return undefined;
    this.#chain.push(link);
    this.#end = undefined;
    const problem = this.#walk(parentOf(link), target, links);
    this.#chain.pop();
    if (links === 1 && this.#end === lexicalTarget(link, target)) this.leadsTo = this.#end;
    return problem?.code === 'missing' ? undefined : problem;
  }

  #walkPicked(path: BytePath, picker: string): void {
    const problem = this.#walk('/' as BytePath, path, 0);
    if (problem !== undefined) this.#reportFolder(problem, path, parentOf(path), picker);
  }

  /** Walks a path component by component as the kernel would, and takes its end. */
  #walk(from: BytePath, path: BytePath, links: number): Omit<Problem, 'path'> | undefined {
    const parts = path.split('/').filter((part) => part !== '' && part !== '.');
    let at = path.startsWith('/') ? ('/' as BytePath) : from;
    for (const [index, part] of parts.entries()) {
      if (part === '..') {
        at = parentOf(at);
      } else if (index === parts.length - 1) {
        return this.#take(joinPath(at, part), links);
      } else {
        const folder = this.#folder(joinPath(at, part), links);
        if ('problem' in folder) return folder.problem;
        at = folder.real;
      }
    }
    return this.#takeFolder(at);
  }

  /** Takes a folder that is known to be real, such as the end of `/a/b/..`. */
  #takeFolder(path: BytePath): Omit<Problem, 'path'> | undefined {
    const folder = this.#folder(path, 0);
    return 'problem' in folder ? folder.problem : undefined;
  }

  /** The real path of a folder, given by a path without dots whose every part may be a symlink. Takes it and all above. */
  #folder(path: BytePath, links: number): Folder {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const folder = this.#resolveFolder(path, links);
    if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
    // What depends on how many links came before it is not the folder's own answer.
    if (!('problem' in folder) || links === 0) this.#folders.set(path, folder);
    return folder;
  }

  #resolveFolder(path: BytePath, links: number): Folder {
    let full = path;
    let above = path;
    if (path !== '/') {
      const parentPath = parentOf(path);
      const parent = this.#folder(parentPath, links);
      if ('problem' in parent) return parent;
      above = parent.real;
      full = above === parentPath ? path : joinPath(above, path.slice(path.lastIndexOf('/') + 1));
    }
    // Most pickers print a folder right before what is in it.
    if (this.#picked.kindOfLast(above, full) === 'directory') return { real: full };
    const errno = packedLstatWords(full, this.#words, 0);
    if (errno !== undefined) return { problem: unreachable(errno) };
    const kind = this.#stat.kind;
    if (kind === 'directory') {
      this.#picked.add(above, full, this.#words, 0);
      return { real: full };
    }
    if (kind !== 'symlink') return { problem: unreachable('ENOTDIR') };
    this.#picked.add(above, full, this.#words, 0);
    return this.#folderBehind(full, links + 1);
  }

  #folderBehind(link: BytePath, links: number): Folder {
    if (links > MAX_LINKS) return { problem: loop(link) };
    const target = readTarget(link);
    if (target === undefined) return { problem: unreachable('ENOENT') };
    let at = target.startsWith('/') ? ('/' as BytePath) : parentOf(link);
    for (const part of target.split('/')) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        at = parentOf(at);
        continue;
      }
      const folder = this.#folder(joinPath(at, part), links);
      if ('problem' in folder) return folder;
      at = folder.real;
    }
    return { real: at };
  }

  #noteSpecial(path: BytePath, kind: FileKind): void {
    if (this.#noted.has(path) || this.#noted.size > MAX_FOLDERS) return;
    this.#noted.add(path);
    const message = `${displayPath(path)} is a ${kind}: not backed up`;
    this.#report({ severity: 'note', code: 'special-file', message, path });
  }

  #reportFolder(problem: Omit<Problem, 'path'>, path: BytePath, folder: BytePath, picker: string): void {
    const vanished = problem.code === 'missing' && this.#mayHaveVanished(path, folder);
    const severity = vanished ? 'note' : problem.severity;
    const code = vanished ? 'vanished' : problem.code;
    const reason = vanished ? 'was removed while the pickers ran' : problem.message;
    this.#report({ severity, code, message: `${displayPath(path)}: ${reason}`, path, source: picker });
  }

  /**
   * A path that is not there although nothing has changed around it never was there while the pickers ran, and one
   * that was missing last time already does not come and go: both are mistakes in the picker, and worth a failure. On
   * a machine at work files vanish every moment, and that is only noted.
   */
  #mayHaveVanished(path: BytePath, folder: BytePath): boolean {
    if (this.missing.length < MOST_MISSING) this.missing.push(path);
    if (this.#lastMissing.has(path)) return false;
    for (let at = folder; ; at = parentOf(at)) {
      if (packedLstatWords(at, this.#words, 0) === undefined) return this.#stat.mtimeNs >= this.#startedNs;
      if (at === '/') return false;
    }
  }
}

/** Repeated or trailing slashes, and `.` or `..` as a component. */
const NEEDS_WALK = /\/\/|\/$|\/\.\.?(?:\/|$)/;

function readTarget(link: BytePath): BytePath | undefined {
  try {
    return pathFromBytes(readlinkSync(pathForFs(link), 'buffer'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return undefined;
    throw new Error(`reading the link ${displayPath(link)}: ${messageOf(error)}`, { cause: error });
  }
}

/** Where a link leads by its text alone; undefined where dots in it make that depend on what is on the way. */
function lexicalTarget(link: BytePath, target: BytePath): BytePath | undefined {
  let from = target.startsWith('/') ? ('/' as BytePath) : parentOf(link);
  let rest = target.startsWith('/') ? target.slice(1) : target;
  for (; rest.startsWith('../'); rest = rest.slice(3)) from = parentOf(from);
  const path = joinPath(from, rest);
  return rest === '..' || NEEDS_WALK.test(path) ? undefined : path;
}

function unreachable(errno: string): Omit<Problem, 'path'> {
  switch (errno) {
    case 'ENOENT':
      return { severity: 'failure', code: 'missing', message: 'does not exist' };
    case 'ENOTDIR':
      return {
        severity: 'failure',
        code: 'missing',
        message: 'a part of it that should be a folder is none',
      };
    case 'EACCES':
      return { severity: 'failure', code: 'unreadable', message: 'permission denied on the way to it' };
    case 'ENAMETOOLONG':
      return { severity: 'failure', code: 'too-long', message: 'is longer than the system takes' };
    default:
      return {
        severity: 'failure',
        code: 'unreadable',
        message: `cannot be looked at (${explainedErrno(errno)})`,
      };
  }
}

function loop(link: BytePath): Omit<Problem, 'path'> {
  return {
    severity: 'failure',
    code: 'symlink-loop',
    message: `a loop of symlinks, or more than ${MAX_LINKS}, at ${displayPath(link)}`,
  };
}
