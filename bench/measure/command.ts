/** A program to run, and what its end must look like to count. */
export interface Command {
  argv: readonly string[];
  /** Beside PATH, HOME and the locale, which are the same for all. */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** Throws where the output shows that the work was not done, although the exit code is 0. */
  check?: (output: Output) => void;
}

export interface Output {
  stdout: string;
  stderr: string;
}

/** As one would type it, for messages and for documentation. */
export function shown(command: Command): string {
  return command.argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`)).join(' ');
}

/** A word for a shell, whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
