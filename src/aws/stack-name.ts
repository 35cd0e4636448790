import { SysbackupError } from '../errors.js';

/** Throws USAGE where CloudFormation takes no such name. */
export function checkStackName(name: string): void {
  if (/^[A-Za-z][A-Za-z0-9-]{0,127}$/.test(name)) return;
  throw new SysbackupError('USAGE', `AWS cannot take the stack name ${JSON.stringify(name)}`, {
    hint: 'It has up to 128 letters, digits and hyphens, a letter first.',
  });
}
