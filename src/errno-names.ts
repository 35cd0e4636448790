import { createRequire } from 'node:module';

/** Where the system's own words do not say what has happened. */
const EXPLAINED: ReadonlyMap<string, string> = new Map([['ESTALE', 'the file is gone on the server']]);

interface Table {
  names: ReadonlyMap<number, string>;
  /** The C library's own words. */
  strerror: (code: number) => string;
}

let table: Table | undefined;

/** Loaded when it is first needed: most runs meet no error that Node cannot name. */
function loaded(): Table {
  if (table !== undefined) return table;
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi').default;
  const names = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]));
  table = { names, strerror: koffi.load(null).func('str strerror(int code)') };
  return table;
}

/** The name (`ENOENT`) of a number that a system call of this system ends with. */
export function errnoName(code: number): string {
  return loaded().names.get(code) ?? `errno ${code}`;
}

/** The name, with what it means where few know: `ESTALE: the file is gone on the server`. */
export function explainedErrno(name: string): string {
  const explanation = EXPLAINED.get(name);
  return explanation === undefined ? name : `${name}: ${explanation}`;
}

/** What Node calls an error whose name it does not know: libuv's table is shorter than Linux's. */
const UNKNOWN = /Unknown system error -(\d{1,4})(?:: Unknown system error -\1)?/g;

/** The name in a code of Node's (`Unknown system error -116`); other codes as they are. */
export function namedCode(code: string): string {
  const [, number] = /^Unknown system error -(\d{1,4})$/.exec(code) ?? [];
  return number === undefined ? code : errnoName(Number(number));
}

/** A message of Node's with names and words in place of such numbers. */
export function namedMessage(message: string): string {
  return message.replaceAll(UNKNOWN, (_, number: string) => {
    const code = Number(number);
    const name = errnoName(code);
    return EXPLAINED.has(name) ? explainedErrno(name) : `${name}: ${lowerCased(loaded().strerror(code))}`;
  });
}

function lowerCased(words: string): string {
  return words.charAt(0).toLowerCase() + words.slice(1);
}
