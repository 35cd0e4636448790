import { createInterface } from 'node:readline';
import { SysbackupError } from '../src/index.js';
import type { Session } from './session.js';

/**
 * Asks a person, on standard error, and reads the answer from standard input: `y` or `yes`. Throws USAGE with the
 * hint where nobody is there to answer.
 */
export async function askYes(session: Session, question: string, hint: string): Promise<boolean> {
  if (process.stdin.isTTY !== true)
    throw new SysbackupError('USAGE', `${question}: nobody is there to answer`, { hint });
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await new Promise<string>((resolve) => {
      reader.once('close', () => resolve(''));
      session.signal.addEventListener('abort', () => resolve(''), { once: true });
      reader.question(`${question} [y/N] `, resolve);
    });
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
