import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { setxattr } from '#src/files/native.js';

/** A folder of this test file's own, removed at its end. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sysbackup-files-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const isRoot = process.getuid?.() === 0;

/** Runs a program; its standard output, or undefined where it is not there or fails. */
export function output(program: string, ...args: (string | Buffer)[]): string | undefined {
  // Arguments that are no UTF-8 are not needed here.
  const { status, stdout } = spawnSync(program, args.map(String), { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

export function nul(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'latin1');
}

/** Whether the file system of temporary files takes this attribute. */
function takes(name: string, value: Buffer): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'sysbackup-probe-'));
  try {
    writeFileSync(join(folder, 'file'), '');
    return setxattr(nul(join(folder, 'file')), nul(name), value, value.length, 0) === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const hasUserXattrs = takes('user.probe', Buffer.from('x'));
/** cap_chown=ep, as in linux/capability.h (version 2, effective). */
export const hasCapabilities = takes(
  'security.capability',
  Buffer.from('0100000201' + '00'.repeat(15), 'hex'),
);
export const hasTrustedXattrs = takes('trusted.probe', Buffer.from('x'));
const hasAclTools =
  output('getfacl', '--version') !== undefined && output('setfacl', '--version') !== undefined;
const probeAcl = Buffer.from(
  '02000000' +
    '01000600ffffffff' +
    '0200040001000000' +
    '04000400ffffffff' +
    '10000400ffffffff' +
    '20000000ffffffff',
  'hex',
);
export const hasAcls = takes('system.posix_acl_access', probeAcl);
export const canCompareAcls = hasAcls && hasAclTools;

export function set(path: BytePath | string, name: string, value: string | Buffer): void {
  const bytes = Buffer.from(value);
  const where = path as BytePath;
  if (setxattr(nul(where), nul(name), bytes, bytes.length, 0) !== 0) throw new Error(`cannot set ${name}`);
}

/** Runs as the user and group 65534, who may not do what root may; only where the tests run as root. */
export function asNobody<Result>(act: () => Result): Result {
  process.setegid?.(65534);
  process.seteuid?.(65534);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

export function bytePath(...parts: string[]): BytePath {
  return pathFromText(join(...parts));
}

/** Names that programs trip over, as bytes in latin-1; each is made and brought back. */
export const AWKWARD_NAMES = [
  'line\nbreak',
  '\xff\xfe\x80 not UTF-8',
  'Z\xc3\xbcrich',
  '-rf',
  ' leading and trailing ',
  '\x01\x1b[31m\x7f',
  '"quoted\\',
  'n'.repeat(255),
  '\xc3\xbc'.repeat(127),
] as BytePath[];
