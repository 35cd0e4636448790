import { type BytePath, displayPath, entryPath, linkTarget, type ManifestEntry } from '../../src/index.js';
import { isDoubtful } from './doubtful-copies.js';
import { printable } from './printable.js';

/** A path in one line that is safe to show, whatever its bytes. */
export function shownPath(path: BytePath): string {
  return printable(displayPath(path));
}

/** What an entry is called: its path, or its snapshotter's name. */
export function shownName(entry: ManifestEntry): string {
  return entry.typ === 's' ? printable(entry.name) : shownPath(entryPath(entry));
}

/** As `ls -l` begins a line: `drwxr-sr-x+`. A snapshot, which has no mode, is `s---------`. */
export function modeText(entry: ManifestEntry): string {
  if (entry.typ === 'l') return 'lrwxrwxrwx';
  if (entry.typ === 's') return 's---------';
  const { mode } = entry;
  const type = entry.typ === 'd' ? 'd' : '-';
  const user = threeBits(mode >> 6, (mode & 0o4000) !== 0, 's', 'S');
  const group = threeBits(mode >> 3, (mode & 0o2000) !== 0, 's', 'S');
  const other = threeBits(mode, (mode & 0o1000) !== 0, 't', 'T');
  return `${type}${user}${group}${other}${entry.acl === undefined ? '' : '+'}`;
}

function threeBits(bits: number, special: boolean, withExecute: string, without: string): string {
  const execute = (bits & 1) !== 0;
  const last = special ? (execute ? withExecute : without) : execute ? 'x' : '-';
  return `${(bits & 4) === 0 ? '-' : 'r'}${(bits & 2) === 0 ? '-' : 'w'}${last}`;
}

const DAY_SECONDS = 86_400;
const DAYS_KEPT = 4096;
/** Days as text: a `Date` for each of a million entries takes as long as all the rest of its line. */
const days = new Map<number, string>();

/** Seconds from the epoch to the last day that a `Date` can hold, in the year 275760; as many before it. */
const DATE_SECONDS = 8.64e12;

/**
 * Modification time to the second in UTC: `2026-11-20 12:10:33`. One that no calendar here goes to stands as `touch -d`
 * takes it: `@9223372036854775807`.
 */
export function shownTime(mt: string): string {
  const seconds = Number.parseInt(mt, 10);
  if (seconds >= DATE_SECONDS || seconds < -DATE_SECONDS) return `@${mt.replace(/\..*/, '')}`;
  const day = Math.floor(seconds / DAY_SECONDS);
  const second = seconds - day * DAY_SECONDS;
  const date = days.get(day) ?? dayText(day);
  const time = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60];
  return `${date} ${time.map(twoDigits).join(':')}`;
}

function dayText(day: number): string {
  const text = new Date(day * DAY_SECONDS * 1000).toISOString().replace(/T.*/, '');
  if (days.size >= DAYS_KEPT) days.clear();
  days.set(day, text);
  return text;
}

function twoDigits(number: number): string {
  return number < 10 ? `0${number}` : String(number);
}

/** Behind the mode of a file whose copy may not be what it was at any one time: `w` in its entry says why. */
const DOUBTFUL = '!';

/** What is unknown, which `ls` shows in the same way. */
const UNKNOWN = '?';

/** Lines like those of `ls -l`. Columns are as wide as what has come so far needs: all of it is never known. */
export class EntryLines {
  #mode = 11;
  #owner = 5;
  #group = 5;
  #size = 9;

  of(entry: ManifestEntry): string {
    const isPath = entry.typ !== 's';
    const mode = modeText(entry) + (isDoubtful(entry) ? DOUBTFUL : '');
    const owner = isPath ? printable(String(entry.o)) : '-';
    const group = isPath ? printable(String(entry.g)) : '-';
    const size = entry.typ === 'f' || entry.typ === 's' ? String(entry.size ?? UNKNOWN) : '-';
    const time = isPath ? (entry.mt === undefined ? UNKNOWN : shownTime(entry.mt)) : '-';
    this.#mode = Math.max(this.#mode, mode.length);
    this.#owner = Math.max(this.#owner, owner.length);
    this.#group = Math.max(this.#group, group.length);
    this.#size = Math.max(this.#size, size.length);
    const target = entry.typ === 'l' ? ` -> ${shownPath(linkTarget(entry))}` : '';
    return [
      mode.padEnd(this.#mode),
      owner.padEnd(this.#owner),
      group.padEnd(this.#group),
      size.padStart(this.#size),
      time.padEnd(19),
      shownName(entry) + target,
    ].join(' ');
  }
}
