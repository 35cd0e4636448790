import { explainedErrno } from '../errno-names.js';
import type { Problem } from '../events.js';
import { type BytePath, displayPath } from '../files/byte-path.js';

/** What is wrong with a path, to be said of the one that was printed. */
export type PathProblem = Omit<Problem, 'path'>;

/** As many links on the way as the kernel follows (path_resolution(7)). */
export const MAX_LINKS = 40;

/** What a link leads to is the kernel's, and not taken for the link's sake. */
export const NOT_FOLLOWED: PathProblem = { severity: 'note', code: 'not-followed', message: '' };

/** Why what a symlink leads to cannot exist. The link itself is all that there is to store. */
const CANNOT_EXIST: ReadonlySet<string> = new Set(['too-long', 'symlink-loop']);

/** By the errno of looking at it. */
export function unreachable(errno: string): PathProblem {
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

export function loop(link: BytePath): PathProblem {
  return {
    severity: 'failure',
    code: 'symlink-loop',
    message: `is a loop of symlinks, or more than ${MAX_LINKS}, at ${displayPath(link)}`,
  };
}

/** What the problem of what a link leads to is for the link: undefined where it is stored as all that it is. */
export function problemOfLink(problem: PathProblem | undefined): PathProblem | undefined {
  if (problem === undefined || problem === NOT_FOLLOWED || problem.code === 'missing') return undefined;
  if (problem.severity === 'note' || !CANNOT_EXIST.has(problem.code)) return problem;
  const message = `is a symlink whose target cannot exist, and stored as that (the target ${problem.message})`;
  return { ...problem, severity: 'note', message };
}
