import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { messageOf, SysbackupError } from '../errors.js';

/** From dist/src/aws/. */
const TEMPLATES = new URL('../../../templates/', import.meta.url);

/** The CloudFormation template of all resources, as text. */
export async function resourceTemplate(): Promise<string> {
  return await readTemplate('cloudformation.yaml');
}

/** A file of this package's `templates/`. Throws SYSTEM where the package is not whole. */
export async function readTemplate(name: string): Promise<string> {
  const path = fileURLToPath(new URL(name, TEMPLATES));
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new SysbackupError('SYSTEM', `cannot read the template ${path}: ${messageOf(cause)}`, {
      hint: 'Install s3-sysbackup again: a part of it is missing.',
      cause,
    });
  }
}
