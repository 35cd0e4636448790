import { chmodSync, lchownSync, symlinkSync } from 'node:fs';
import { asRoot } from './programs.js';
import type { TreeSection } from './tree-section.js';

/** Modes with all bits, read-only folders; as root also owners, of whom some have no name. */
export function makeModes(section: TreeSection): void {
  for (const mode of [
    0o000, 0o001, 0o040, 0o200, 0o400, 0o444, 0o666, 0o755, 0o777, 0o4755, 0o2755, 0o6711, 0o1644, 0o7777,
  ])
    section.file(`file ${mode.toString(8)}`, `mode ${mode}`, mode);
  for (const mode of [0o000, 0o111, 0o500, 0o555, 0o700, 0o1777, 0o2775, 0o3777, 0o7777]) {
    const folder = section.folder(`folder ${mode.toString(8)}`);
    folder.file('inside', `in ${mode}`);
    folder.folder('empty');
    chmodSync(folder.path, mode);
  }
  if (!asRoot) {
    section.left.push('owners other than oneself');
    return;
  }
  for (const [uid, gid] of [
    [1, 1],
    [12_345, 54_321],
    [65_534, 65_534],
    [4_294_967_294, 4_294_967_294],
    [0, 12_345],
  ] as const) {
    const name = `owner ${uid} ${gid}`;
    section.owned(section.file(name, name), uid, gid, 0o6640);
    const folder = section.folder(`folder of ${uid} ${gid}`);
    folder.file('inside', name);
    section.owned(folder.path, uid, gid, 0o2750);
    symlinkSync('nowhere', section.at(`link of ${uid} ${gid}`));
    lchownSync(section.at(`link of ${uid} ${gid}`), uid, gid);
  }
}

/** POSIX ACLs, default ones on folders, for users and groups with and without a name. */
export function makeAcls(section: TreeSection): void {
  const file = (name: string): Buffer => section.file(name, name);
  section.run('setfacl', '-m', 'u:daemon:rwx', file('user'));
  section.run('setfacl', '-m', 'u:daemon:r,u:12345:-,u:4294967290:x,g:daemon:rw,g:54321:x', file('many'));
  section.run('setfacl', '-m', 'u:daemon:rwx,m::r', file('narrow mask'));
  section.run('setfacl', '-m', 'm::rw', file('only a mask'));
  const masked = section.file('mode 000', 'x', 0o000);
  section.run('setfacl', '-m', 'g:daemon:rwx,m::-', masked);
  const folder = section.folder('inherits');
  section.run('setfacl', '-d', '-m', 'u:12345:rx,g:daemon:rwx', folder.path);
  folder.file('made below', 'inherited');
  folder.folder('folder below').file('deeper', 'inherited');
  const both = section.folder('both');
  section.run('setfacl', '-m', 'u:daemon:rx', both.path);
  section.run('setfacl', '-d', '-m', 'u::rwx,g::-,o::-', both.path);
  // Setgid and sticky beside an ACL, whose mask stands in the place of the group's bits.
  const shared = section.folder('shared');
  section.run('setfacl', '-m', 'g:daemon:rwx,d:g:daemon:rwx', shared.path);
  chmodSync(shared.path, 0o3770);
}

/** Extended attributes of all name spaces that root may set. */
export function makeXattrs(section: TreeSection): void {
  const set = (path: Buffer, name: string, value: string): void =>
    section.run('setfattr', '-h', '-n', name, '-v', value, path);
  set(section.file('text', 'x'), 'user.note', 'some text');
  set(section.file('empty value', 'x'), 'user.empty', '""');
  set(section.file('binary', 'x'), 'user.binary', '0x00ff0a0d00');
  set(section.file('long', 'x'), 'user.long', `0x${'ab'.repeat(3000)}`);
  set(section.file('name', 'x'), 'user.größe = "\n1"', 'newline and quotes in the name');
  set(section.file('proto', 'x'), 'user.__proto__', 'x');
  set(section.folder('folder').path, 'user.on a folder', 'yes');
  set(section.file('read-only', 'x', 0o444), 'user.note', 'read-only');
  const many = section.file('many', 'x');
  for (let index = 0; index < 20; index++) set(many, `user.n${index}`, String(index));
  if (!asRoot) {
    section.left.push('attributes for root');
    return;
  }
  set(section.file('trusted', 'x'), 'trusted.note', 'for root');
  symlinkSync('text', section.at('link'));
  set(section.at('link'), 'trusted.note', 'on a symlink');
  section.run('setcap', 'cap_net_raw,cap_net_admin+ep', section.file('capable', 'x', 0o755));
  const owned = section.file('capable and owned', 'x');
  section.owned(owned, 12_345, 12_345, 0o750);
  section.run('setcap', 'cap_net_bind_service=+ep', owned);
}
