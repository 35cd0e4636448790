import { ObjectTable } from '../catalog/object-table.js';
import type { ManifestLine, ObjectRef } from '../manifest/types.js';
import { membersIn, MemberTable, type NamedMember } from './member-table.js';

/** A bundle that a manifest names. */
export interface NamedBundle {
  key: string;
  /** SHA-256 of the tar. */
  sha: Buffer;
  version: string;
}

const CONTENT_KEY = /^content\/([0-9a-f]{64})$/;
const BUNDLE_KEY = /^bundles\/([0-9a-f]{64})\.tar$/;
/** What a catalog can hold. Servers' version ids are such texts, of 32 characters mostly. */
const VERSION = /^[\x21-\x7e]{1,255}$/;

/** The distinct contents that the lines of a manifest name: objects of their own, and members of bundles. */
export class NamedContent {
  /** By SHA-256; locks are not known. */
  readonly objects = new ObjectTable();
  readonly bundles: NamedBundle[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #members = new MemberTable();

  add(line: ManifestLine): void {
    if ((line.typ !== 'f' && line.typ !== 's') || line.dat === null) return;
    for (const ref of [line.dat].flat()) this.#addObject(ref);
    for (const { ref, member } of membersIn(line.dat, line.size ?? 0, line.sha)) this.#addMember(ref, member);
  }

  membersOf(bundle: number): Generator<NamedMember> {
    return this.#members.of(bundle);
  }

  #addObject({ key, ver, enc }: ObjectRef): void {
    const hex = CONTENT_KEY.exec(key)?.[1];
    if (hex === undefined || !VERSION.test(ver)) return;
    const sha = Buffer.from(hex, 'hex');
    // Several versions of one content: the first named is as good as any.
    if (this.objects.find(sha) < 0) this.objects.set(sha, 0, { version: ver, enc, until: 0 });
  }

  #addMember({ key, ver }: ObjectRef, member: NamedMember): void {
    const hex = BUNDLE_KEY.exec(key)?.[1];
    if (hex === undefined || !VERSION.test(ver)) return;
    const name = `${hex}${ver}`;
    const known = this.#numbers.get(name);
    const number = known ?? this.bundles.length;
    if (!this.#members.add(number, member) || known !== undefined) return;
    this.#numbers.set(name, number);
    this.bundles.push({ key, sha: Buffer.from(hex, 'hex'), version: ver });
  }
}
