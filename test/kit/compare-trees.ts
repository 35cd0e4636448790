import { execFileSync } from 'node:child_process';

/** What rsync would change in a target, of a path below it. */
export interface Difference {
  /** As rsync's manual describes `--itemize-changes`. */
  change: string;
  /** As rsync shows it: other bytes than printable ones as `\#ooo`. */
  path: string;
}

/**
 * All that rsync finds different between two folders: content, owners, modes, times to the nanosecond, ACLs,
 * extended attributes, hard links, and what one has more than the other. Needs rsync, and root for most of it.
 */
export function differences(source: string, target: string): Difference[] {
  const flags = ['-aHAXnci', '--delete', '--modify-window=-1', '--info=nonreg0'];
  const output = execFileSync('rsync', [...flags, `${source}/`, `${target}/`], { maxBuffer: 1 << 28 });
  return output
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const space = line.indexOf(' ');
      return { change: line.slice(0, space), path: line.slice(space + 1).trimStart() };
    });
}

/** Files whose holes did not come back: that take much more room in the target than in the source. */
export function withoutTheirHoles(source: string, target: string): string[] {
  const was = roomOfFiles(source);
  const is = roomOfFiles(target);
  return [...was].filter(([path, room]) => (is.get(path) ?? 0) > room + 256 * 1024).map(([path]) => path);
}

/** By GNU find, which goes deeper than paths can be long. */
function roomOfFiles(folder: string): Map<string, number> {
  const output = execFileSync('find', [folder, '-type', 'f', '-printf', '%k %P\\0'], { maxBuffer: 1 << 28 });
  return new Map(
    output
      .toString('latin1')
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => [line.slice(line.indexOf(' ') + 1), Number.parseInt(line, 10) * 1024]),
  );
}
