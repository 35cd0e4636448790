import { SysbackupError } from '../errors.js';

/** The file system would not do it. */
export function refused(errno: string, message = errno): Error {
  return Object.assign(new Error(errno === 'EISDIR' ? 'a folder stands in its place' : message), {
    code: errno,
  });
}

export function wrongContent(sha: string, recorded: string): SysbackupError {
  return new SysbackupError('DAMAGED', `its content has the SHA-256 ${sha} where ${recorded} is recorded`);
}
