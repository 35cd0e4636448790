import type { BytePath } from '../files/byte-path.js';
import { textOfPath } from '../files/byte-path.js';

/**
 * What to hand to `spawn`, which takes text only, to start an executable at any path. A path that is no UTF-8
 * goes through the shell, spelled in octal for its `printf`; the `x` saves newlines at its end.
 */
export function commandFor(path: BytePath, args: readonly string[]): { file: string; args: string[] } {
  const file = textOfPath(path);
  if (file !== undefined) return { file, args: [...args] };
  const octal = Array.from(path, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`).join('');
  return { file: '/bin/sh', args: ['-c', `p=$(printf '${octal}x'); exec "\${p%x}" "$@"`, 'sh', ...args] };
}
