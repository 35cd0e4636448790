import { createInterface } from 'node:readline';
import { SysbackupError } from '../src/index.js';

/** Asks on the terminal and resolves with the line that was typed; undefined where the terminal was closed. */
export type Question = (text: string) => Promise<string | undefined>;

/** Streams that a question goes by. */
export interface QuestionStreams {
  input: NodeJS.ReadableStream;
  /** Not standard output, which is for data. */
  output: NodeJS.WritableStream;
  signal: AbortSignal;
}

/** Throws ABORTED where the signal fires while it waits. */
export function questionOn({ input, output, signal }: QuestionStreams): Question {
  return async (text) =>
    await new Promise((resolve, reject) => {
      output.write(text);
      // Not `terminal`: that would take Ctrl-C for itself, and echo what the terminal echoes.
      const lines = createInterface({ input, terminal: false });
      const stop = (): void => {
        reject(new SysbackupError('ABORTED', 'stopped before the end'));
        lines.close();
      };
      signal.addEventListener('abort', stop, { once: true });
      lines.once('line', (line) => {
        resolve(line);
        lines.close();
      });
      lines.once('close', () => {
        signal.removeEventListener('abort', stop);
        input.pause();
        resolve(undefined);
      });
      if (signal.aborted) stop();
    });
}

/** Only these mean yes: what is to be done cannot be undone. */
export function isYes(answer: string | undefined): boolean {
  return /^\s*y(es)?\s*$/i.test(answer ?? '');
}
