import { displayPath, type PathToStore } from '../../src/index.js';
import type { Session } from '../session.js';
import { jsonOfPath } from './event-json.js';
import { printable } from './printable.js';
import { formatBytes } from './quantities.js';

/** Prints what a dry run would store, a line for each path. Resolves when the lines have gone out. */
export async function printPathsToStore(
  { output, globals }: Session,
  paths: readonly PathToStore[],
): Promise<void> {
  const lineOf = globals.json === true ? jsonLine : textLine;
  await output.send(`${paths.map(lineOf).join('\n')}\n`);
}

function textLine({ path, change, bytes }: PathToStore): string {
  return printable(`${change.padEnd(7)}  ${displayPath(path)}${bytes > 0 ? ` (${formatBytes(bytes)})` : ''}`);
}

function jsonLine({ path, ...rest }: PathToStore): string {
  return JSON.stringify({ type: 'path', ...jsonOfPath(path), ...rest });
}
