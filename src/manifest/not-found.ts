import { SysbackupError } from '../errors.js';
import type { ObjectStore } from '../store/port.js';
import { nearest } from './nearest.js';

/** Where a backup name is not among those of a store. */
export function noSuchBackup(
  name: string,
  names: readonly string[],
  store: Pick<ObjectStore, 'description'>,
): SysbackupError {
  return notFound(`there is no backup ${name} in ${store.description}`, name, names);
}

/** NOT_FOUND, with the candidates that are nearest to what was asked for. */
export function notFound(message: string, text: string, candidates: readonly string[]): SysbackupError {
  const near = nearest(text, candidates);
  const hint =
    near.length === 0
      ? '`s3-sysbackup list` shows what there is.'
      : `The nearest ${near.length === 1 ? 'name is' : 'names are'} ${near.join(', ')}.`;
  return new SysbackupError('NOT_FOUND', message, { hint });
}
