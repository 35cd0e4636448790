/** How one setting's text becomes a value. */
export interface ValueKind<T> {
  /** What is allowed, to stand behind "must be". */
  allowed: string;
  /** Undefined where the text is not allowed. */
  read(text: string): T | undefined;
}

const BOOLEANS = new Map([
  ...['1', 'yes', 'true', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'false', 'off'].map((word) => [word, false] as const),
]);

/** What configparser's `getboolean` takes. */
export const YES_OR_NO: ValueKind<boolean> = {
  allowed: 'yes, true, on, 1, no, false, off or 0',
  read: (text) => BOOLEANS.get(text.toLowerCase()),
};

/** Text on one line, not empty, that `pattern` matches in whole. */
export function text(allowed: string, pattern: RegExp): ValueKind<string> {
  return { allowed, read: (written) => (pattern.test(written) ? written : undefined) };
}

/** One of some words, in any case; the value is spelled as in the list. */
export function oneOf<const T extends string>(words: readonly T[]): ValueKind<T> {
  return {
    allowed: listed(words),
    read: (written) => words.find((word) => word.toLowerCase() === written.toLowerCase()),
  };
}

/** A whole number of `unit`. */
export function wholeNumber(unit: string, from: number, to: number): ValueKind<number> {
  return {
    allowed: `a whole number of ${unit} from ${grouped(from)} to ${grouped(to)}`,
    read: (written) => within(/^\d{1,15}$/.test(written) ? Number(written) : undefined, from, to),
  };
}

const SIZE_UNITS: Record<string, number> = {
  '': 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
};

/** Bytes. `kB` and `MB` mean 1,000 to some and 1,024 to others, and are not taken. */
export function size(from: number, to: number): ValueKind<number> {
  return {
    allowed:
      `a whole number of bytes from ${grouped(from)} to ${grouped(to)}, as such ` +
      'or with k or KiB (1,024 bytes), M or MiB, G or GiB behind it',
    read: (written) => within(withUnit(written, /^(\d{1,15}) ?([kmg]i?b?|)$/i, SIZE_UNITS), from, to),
  };
}

const SECOND_UNITS: Record<string, number> = { '': 1, s: 1, min: 60, h: 3600 };

/** Seconds, of which fractions are taken too. */
export function seconds(from: number, to: number): ValueKind<number> {
  return {
    allowed: `a number of seconds from ${from} to ${grouped(to)}, as such or with s, min or h behind it`,
    read: (written) =>
      within(withUnit(written, /^(\d{1,15}(?:\.\d{1,9})?) ?(s|min|h|)$/i, SECOND_UNITS), from, to),
  };
}

/** A month counts 31 days and a year 366: nothing is kept shorter than meant. */
const DAY_UNITS: Record<string, number> = { d: 1, w: 7, m: 31, y: 366 };

/** Days, from a number and a unit. */
export function days(from: number, to: number): ValueKind<number> {
  return {
    allowed:
      'a whole number with d (days), w (weeks), m (months of 31 days) or y (years of 366 days) behind it, ' +
      `like 8w, 12m or 7y, from ${grouped(from)} to ${grouped(to)} days`,
    read: (written) => within(withUnit(written, /^(\d{1,9}) ?([dwmy])$/i, DAY_UNITS), from, to),
  };
}

/** Names with white space or commas between them; may be empty. */
export const NAMES: ValueKind<string[]> = {
  allowed: 'names with spaces, commas or lines between them',
  read: (written) => written.split(/[\s,]+/).filter((name) => name !== ''),
};

/** `a`, `a or b`, `a, b or c` */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function withUnit(written: string, pattern: RegExp, units: Record<string, number>): number | undefined {
  const [, amount, unit] = pattern.exec(written) ?? [];
  const factor = units[(unit ?? '?').toLowerCase()];
  return factor === undefined ? undefined : Number(amount) * factor;
}

function within(value: number | undefined, from: number, to: number): number | undefined {
  return value !== undefined && value >= from && value <= to ? value : undefined;
}

/** Without Intl, which takes 15 ms at its first use: more than all the rest of reading a conf. */
function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
