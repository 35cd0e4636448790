import { SysbackupError } from '../errors.js';
import type { HiddenRun } from '../manifest/hidden-runs.js';
import { listRuns, type StoredRun } from '../manifest/runs.js';
import type { VerifyOptions } from './verify-options.js';

/**
 * The run that was asked for, or all that are not broken. `onHidden` hears of those that are there and cannot be used
 * for want of a readable sidecar. Throws NOT_FOUND where there is neither.
 */
export async function runsToVerify(
  { store, run, backup, onEvent }: VerifyOptions,
  onHidden: (runs: readonly HiddenRun[]) => void,
): Promise<StoredRun[]> {
  if (run) return [run];
  let hidden = 0;
  const listed = await listRuns(store, {
    backup,
    onEvent,
    onHidden: (found) => {
      hidden = found.length;
      onHidden(found);
    },
  });
  const runs = listed.filter(({ outcome }) => outcome !== 'broken');
  if (runs.length + hidden === 0)
    throw new SysbackupError(
      'NOT_FOUND',
      `there is no run${backup === undefined ? '' : ` of ${backup}`} to verify in ${store.description}`,
      { hint: '`s3-sysbackup list` shows what there is.' },
    );
  return runs;
}
