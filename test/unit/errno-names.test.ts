import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readFailureOf } from '#src/content/read-failure.js';
import { errnoName } from '#src/errno-names.js';
import { errnoOf, messageOf } from '#src/errors.js';
import { pathFromText } from '#src/files/byte-path.js';
import { asStoreErrors } from '#src/store/directory-errors.js';
import { temporaryFolder } from '../kit/temporary.js';

/** As Node throws it where a file on NFS was removed by another client: libuv has no name for it. */
function stale(call: string): Error {
  const unknown = `Unknown system error -${constants.errno.ESTALE}`;
  const error = new Error(`${unknown}: ${unknown}, ${call}`);
  return Object.assign(error, { code: unknown, errno: -constants.errno.ESTALE, syscall: call });
}

describe('an error of the system that Node cannot name', () => {
  it('has its name, and ESTALE what it means', () => {
    const failure = readFailureOf(stale('read'), pathFromText('/srv/f'));
    expect(failure.code).toBe('ESTALE');
    expect(failure.message).toBe('cannot read /srv/f: ESTALE: the file is gone on the server');
  });

  it('is told apart by it: ESTALE passes, so that a store on NFS is asked again', async () => {
    const work = asStoreErrors('/mnt/store', 'storing x', async () => await Promise.reject(stale('open')));
    await expect(work).rejects.toMatchObject({ code: 'STORE_FAILED', retryable: true });
    await expect(work).rejects.toThrow('ESTALE: the file is gone on the server, open');
  });

  it('has the name and the words of the C library, as a program that cannot be started', () => {
    // Its interpreter is executable, and none: ELIBBAD.
    const folder = temporaryFolder();
    const program = readFileSync('/bin/true');
    const at = program.indexOf('/lib');
    program.fill(0, at, program.indexOf(0, at));
    program.write('./x', at);
    writeFileSync(join(folder, 'program'), program, { mode: 0o755 });
    writeFileSync(join(folder, 'x'), 'no interpreter, but long enough to be looked at'.repeat(10), {
      mode: 0o755,
    });
    let error: unknown;
    try {
      spawn('./program', { cwd: folder });
    } catch (thrown) {
      error = thrown;
    }
    expect(errnoOf(error)).toBe('ELIBBAD');
    expect(messageOf(error)).toMatch(/^spawn ELIBBAD: \w/);
  });

  it('has a name for each number that Linux knows', () => {
    for (const name of ['ENOENT', 'EIO', 'ESTALE', 'EDQUOT'] as const)
      expect(errnoName(constants.errno[name])).toBe(name);
    for (let code = 1; code <= 133; code++)
      if (code !== 41 && code !== 58) expect(errnoName(code)).toMatch(/^E[A-Z0-9]+$/);
    expect(errnoName(1234)).toBe('errno 1234');
  });
});
