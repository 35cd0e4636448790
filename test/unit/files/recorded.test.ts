import { describe, expect, it } from 'vitest';
import { decodeAcl } from '#src/files/acl.js';
import { OwnerIds } from '#src/files/owners.js';
import { ownersIn, type RecordedMetadata, wantedOf } from '#src/files/recorded.js';
import type { RunProgram } from '#src/files/run-program.js';

const run: RunProgram = async (_, [database, ...keys]) => {
  const known = database === 'passwd' ? 'alice:x:1001:' : 'staff:x:50:';
  const stdout = keys.flatMap((key) =>
    known.startsWith(`${key}:`) ? [known] : key === '0' ? ['root:x:0:'] : [],
  );
  return { status: 2, stdout: Buffer.from(`${stdout.join('\n')}\n`), stderr: Buffer.alloc(0) };
};

async function wanted(recorded: RecordedMetadata) {
  const ids = new OwnerIds({ run });
  const { users, groups } = ownersIn(recorded);
  await ids.resolve(users, groups);
  return wantedOf(recorded, ids);
}

describe('what an entry asks for', () => {
  it('are the ids that its names have here, and the recorded ones where they have none', async () => {
    const { wanted: here, problems } = await wanted({
      o: 'alice',
      uid: 7,
      g: 'gone',
      gid: 8,
      mode: 0o4755,
      mt: '-1.500000000',
    });
    expect(here).toEqual({ uid: 1001, gid: 8, mode: 0o4755, mtimeNs: -500_000_000n });
    expect(problems).toEqual([]);
  });

  it('is an ACL with the ids of here', async () => {
    const acl =
      'user::rwx\nuser:alice:r--\nuser:12:r--\ngroup::r-x\ngroup:staff:rwx\nmask::rwx\nother::---\nd:user::rwx\nd:group::---\nd:other::---';
    const { wanted: here, problems } = await wanted({ o: 0, g: 0, mode: 0o770, acl });
    expect(decodeAcl(Buffer.from(here.acl ?? []))?.map(({ id }) => id)).toEqual([
      undefined,
      12,
      1001,
      undefined,
      50,
      undefined,
      undefined,
    ]);
    expect(decodeAcl(Buffer.from(here.defaultAcl ?? []))).toHaveLength(3);
    expect([here.mode, problems]).toEqual([0o770, []]);
  });

  it('is a mode where the older format has only an ACL', async () => {
    const { wanted: here } = await wanted({
      o: 'alice',
      g: 'staff',
      acl: 'user::rw-\ngroup::r--\nother::---\n\n',
    });
    expect(here).toEqual({ uid: 1001, gid: 50, mode: 0o640 });
  });

  it('names what cannot be had', async () => {
    const acl = 'user::rwx\nuser:bob:r--\ngroup::r-x\nmask::rwx\nother::---';
    const { wanted: here, problems } = await wanted({
      o: 'bob',
      g: 'gone',
      mode: 0o770,
      acl,
      mt: 'yesterday',
    });
    expect([here.uid, here.gid, here.mtimeNs]).toEqual([undefined, undefined, undefined]);
    expect(problems).toHaveLength(4);
    expect(problems.filter((problem) => problem.includes('bob'))).toHaveLength(2);
  });

  it('goes without an ACL that is none, and keeps the mode', async () => {
    const { wanted: here, problems } = await wanted({ o: 0, g: 0, mode: 0o640, acl: 'rm -rf /' });
    expect([here, problems.length]).toEqual([{ uid: 0, gid: 0, mode: 0o640 }, 1]);
  });
});
