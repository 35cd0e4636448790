import { SysbackupError } from '../src/index.js';
import { isYes } from './question.js';
import type { Session } from './session.js';

/** Asks a person at the terminal. Throws USAGE with the hint where nobody is there to answer. */
export async function askYes(session: Session, question: string, hint: string): Promise<boolean> {
  if (session.question === undefined)
    throw new SysbackupError('USAGE', `nobody is there to answer: ${question}`, { hint });
  return isYes(await session.question(`${question} [y/N] `));
}
