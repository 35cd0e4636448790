import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** A call of Node's `fs` on a file. */
export interface FileCall {
  /** `writeSync`, `rmSync`; of `fs/promises` `rm`. */
  name: string;
  /** What it is about: of a descriptor, the path that was opened; of a rename or link, the new one. */
  path: string;
}

/** Calls that change something, or make it last. Those that read are not failed here. */
const SYNC = [
  'openSync',
  'writeSync',
  'writevSync',
  'writeFileSync',
  'appendFileSync',
  'fsyncSync',
  'closeSync',
  'renameSync',
  'linkSync',
  'copyFileSync',
  'mkdirSync',
  'rmSync',
  'readdirSync',
] as const;
const PROMISES = ['rm', 'open', 'mkdir', 'mkdtemp'] as const;
const TWO_PATHS = new Set(['renameSync', 'linkSync', 'copyFileSync']);

type Any = (...args: unknown[]) => unknown;

/**
 * Has calls of `fs` in this process fail as a broken or full disk would make them, the program's own too, until the
 * function it returns is called. `fails` gives the errno of a call that is to fail. A descriptor is closed all the same.
 */
export function failFileCalls(fails: (call: FileCall) => string | undefined): () => void {
  const paths = new Map<unknown, string>();
  const originals: [Record<string, Any>, string, Any][] = [];
  const replace = (of: Record<string, Any>, name: string, made: (original: Any) => Any): void => {
    const original = of[name];
    if (original === undefined) return;
    originals.push([of, name, original]);
    of[name] = made(original);
  };
  const errorOf = (name: string, path: string): Error | undefined => {
    const code = fails({ name, path });
    return code === undefined
      ? undefined
      : Object.assign(new Error(`${code}: as a test has it, ${name} '${path}'`), { code });
  };
  const sync = fs as unknown as Record<string, Any>;
  for (const name of SYNC)
    replace(sync, name, (original) => (...args) => {
      const path = TWO_PATHS.has(name) ? args[1] : (paths.get(args[0]) ?? args[0]);
      const error = errorOf(name, String(path));
      if (error !== undefined) {
        if (name === 'closeSync') original(...args);
        throw error;
      }
      const result = original(...args);
      if (name === 'openSync') paths.set(result, String(args[0]));
      if (name === 'closeSync') paths.delete(args[0]);
      return result;
    });
  const promises = fs.promises as unknown as Record<string, Any>;
  for (const name of PROMISES)
    replace(promises, name, (original) => async (...args) => {
      const error = errorOf(name, String(args[0]));
      if (error !== undefined) throw error;
      return await original(...args);
    });
  syncBuiltinESMExports();
  return () => {
    for (const [of, name, original] of originals) of[name] = original;
    syncBuiltinESMExports();
  };
}
