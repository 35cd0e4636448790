import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM } from './built-program.js';

/** The blocks of shell lines in one section of a document, in their order. */
export function shellBlocks(document: string, section: string): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../docs', document), 'utf8');
  const lines = text.slice(text.indexOf(`\n## ${section}\n`) + 1).split('\n## ')[0] ?? '';
  return [...lines.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
}

export interface Typed {
  code: number;
  /** Both streams. */
  output: string;
}

/** A shell in which `s3-sysbackup` is the built program, in a directory of its own. */
export class TypingShell {
  readonly #folder: string;
  readonly #env: Record<string, string>;

  constructor(folder: string, env: Record<string, string>) {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 's3-sysbackup'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
    chmodSync(join(bin, 's3-sysbackup'), 0o755);
    this.#folder = folder;
    this.#env = { HOME: folder, ...env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  }

  /** Types lines, and stops at the first that fails. */
  type(lines: string): Promise<Typed> {
    return new Promise((resolve) => {
      const options = { cwd: this.#folder, env: this.#env };
      execFile('sh', ['-euc', lines], options, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
      });
    });
  }
}
