import type { CommanderError } from 'commander';
import { SysbackupError } from '../src/index.js';

const SUGGESTION = /\s*\(Did you mean (?:one of )?([^)]*?)\??\)\s*$/;

/**
 * What commander says of a wrong command line, as this program says things: one sentence, and a hint that names
 * the nearest option or command, or else where they are listed.
 *
 * @param command Words that lead to the command concerned, such as `s3-sysbackup archive`.
 */
export function usageError(error: CommanderError, command: string): SysbackupError {
  const text = error.message.replace(/^error: /, '');
  const nearest = SUGGESTION.exec(text)?.[1];
  return new SysbackupError('USAGE', text.replace(SUGGESTION, ''), {
    hint: nearest === undefined ? `See \`${command} --help\`.` : `Did you mean ${nearest}?`,
    cause: error,
  });
}
