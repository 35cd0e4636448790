import { SysbackupError } from '../errors.js';
import { type BytePath, displayPath, pathFromText } from '../files/byte-path.js';
import type { NearPaths } from '../manifest/near-paths.js';
import { nearest } from '../manifest/nearest.js';

/** A path as a person writes it: without slashes at its end or several in a row. */
export function wantedPath(text: string): BytePath {
  const path = text.replaceAll(/\/{2,}/g, '/');
  return pathFromText(path.length > 1 ? path.replace(/\/$/, '') : path);
}

/** That the path is not in the run, with what was found instead. */
export function pathNotFound(near: NearPaths, run: string): SysbackupError {
  return new SysbackupError('NOT_FOUND', `${displayPath(near.wanted)} is not in the run ${run}`, {
    hint: near.hint() ?? '`s3-sysbackup ls RUN` lists what there is.',
  });
}

/** That a run has no snapshot of this name, which may have been meant as a path. */
export function noSnapshot(name: string, names: readonly string[], run: string): SysbackupError {
  const near = nearest(name, names);
  const hint =
    near.length > 0
      ? `It has ${near.join(', ')}. Paths begin with a slash.`
      : 'Paths begin with a slash; `s3-sysbackup ls RUN` lists what there is.';
  return new SysbackupError('NOT_FOUND', `the run ${run} has no snapshot of ${name}`, { hint });
}
