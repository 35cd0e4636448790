import type { ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import { errnoOf, messageOf } from '../errors.js';
import type { BytePath } from '../files/byte-path.js';
import { displayPath, pathForFs } from '../files/byte-path.js';

/** Why the kernel would not start an executable, in words; it names the interpreter where that is missing. */
export async function whyNotStarted(path: BytePath, failure: Error | ChildProcess): Promise<string> {
  const errno = errnoOf(failure) ?? messageOf(failure);
  switch (errno) {
    case 'ENOENT': {
      const firstLine = await readFirstLine(path);
      if (firstLine === undefined) return 'the link leads nowhere, or the file is gone (ENOENT)';
      if (firstLine.startsWith('#!')) {
        return `the interpreter in its first line, ${displayPath(firstLine)}, is not there (ENOENT)`;
      }
      return 'its loader or interpreter is not there (ENOENT)';
    }
    case 'EACCES':
      return 'it, its interpreter or a folder above may not be executed, or its file system is mounted noexec (EACCES)';
    case 'ENOEXEC':
      return 'it is no program for this machine (ENOEXEC)';
    case 'ETXTBSY':
      return 'it is open for writing (ETXTBSY)';
    case 'ELOOP':
      return 'its links form a loop (ELOOP)';
    default:
      return errno;
  }
}

async function readFirstLine(path: BytePath): Promise<string | undefined> {
  try {
    const file = await open(pathForFs(path), 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(128), 0, 128, 0);
      return buffer.toString('latin1', 0, bytesRead).split('\n', 1)[0] ?? '';
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}
