import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Overwrite, SysbackupError, type ThawTier } from '../../src/index.js';
import { refuseExistingTar } from './tar-file.js';
import type { ProgressChoice } from '../presentation/event-presenter.js';
import type { Session } from '../session.js';
import { addReadOptions, type ReadFlags } from '../store.js';

export interface RestoreFlags extends ReadFlags {
  target?: string;
  toTar?: string;
  force?: true;
  snapshots?: string;
  runRestoreThrough?: true;
  include?: string[];
  exclude?: string[];
  /** Undefined where it was not given: as `if-changed`, but at a terminal it is asked before existing files are replaced. */
  overwrite?: Overwrite;
  checksum?: true;
  thaw?: ThawTier;
  thawDays?: number;
  dryRun?: true;
  yes?: true;
  progress: ProgressChoice;
}

/** Where the files go; undefined where only snapshots were asked for. */
export type FilesTo = 'target' | 'tar' | 'in-place' | undefined;

export function addRestoreOptions(command: Command): void {
  command
    .argument('[run]', 'which run', 'latest')
    .option(
      '--target <dir>',
      'folder to restore the files below (default: where they came from, after asking)',
    )
    .option('--to-tar <file>', 'write the files as a tar instead (- is standard output)')
    .option('--force', 'replace the file that --to-tar names, if it exists')
    .option('--snapshots <dir>', 'folder to write the snapshots to')
    .option('--run-restore-through', 'pipe each snapshot into the command it names, after asking')
    .option('--include <glob>', 'restore these paths only (repeatable)', collect)
    .option('--exclude <glob>', 'leave these paths out (repeatable)', collect)
    .addOption(
      new Option(
        '--overwrite <when>',
        'existing files; if-changed: replace those of other size or time (default: if-changed, after asking at a terminal)',
      ).choices(['always', 'if-changed', 'never']),
    )
    .option(
      '--checksum',
      'unless its size and content are right: what is there is read, and its time not believed',
    )
    .addOption(
      new Option(
        '--thaw <how>',
        'ask the store for what it has to thaw first, which is charged; the same command later goes on',
      ).choices(['bulk', 'standard', 'expedited']),
    )
    .option('--thaw-days <n>', 'how long what was thawed is to be there (default: 7)', days)
    .option('--dry-run', 'list what would be done, and do nothing')
    .option('--yes', 'do not ask')
    .addOption(
      new Option('--progress <when>', 'show how far it is; auto: on a terminal')
        .choices(['auto', 'always', 'never'])
        .default('auto'),
    );
  addReadOptions(command);
}

export function filesTo({ target, toTar, snapshots }: RestoreFlags): FilesTo {
  if (toTar !== undefined) return 'tar';
  if (target !== undefined) return 'target';
  return snapshots === undefined ? 'in-place' : undefined;
}

/** Refuses what makes no sense, before anything is asked of the store. Throws USAGE. */
export function checkFlags(flags: RestoreFlags, session: Session): void {
  const { include, exclude, snapshots, dryRun, checksum, overwrite, yes } = flags;
  const to = filesTo(flags);
  checkThaw(flags);
  checkTar(flags, session);
  checkThrough(flags, session);
  if (to === undefined && (include !== undefined || exclude !== undefined))
    throw new SysbackupError(
      'USAGE',
      '--include and --exclude choose files, and only snapshots are asked for',
      {
        hint: 'Give --target DIR too, or leave out --snapshots or the globs.',
      },
    );
  if (snapshots !== undefined && dryRun === true)
    throw new SysbackupError('USAGE', '--dry-run is for files, and --snapshots would write', {
      hint: 'Leave out one or the other.',
    });
  if (to !== 'tar' && checksum === true && overwrite !== undefined && overwrite !== 'if-changed')
    throw new SysbackupError('USAGE', `--checksum has no meaning beside --overwrite ${overwrite}`, {
      hint: 'Leave out one or the other.',
    });
  if (to === 'in-place' && dryRun !== true && yes !== true && session.question === undefined)
    throw new SysbackupError(
      'USAGE',
      'without --target the files go back to where they came from, and there is no terminal to ask on first',
      {
        hint: 'Give --target DIR to restore below another folder, or --yes to overwrite without being asked.',
      },
    );
}

function checkThaw({ thaw, thawDays, dryRun }: RestoreFlags): void {
  if (thawDays !== undefined && thaw === undefined)
    throw new SysbackupError('USAGE', '--thaw-days says for how long, and --thaw does not say that', {
      hint: 'Give --thaw bulk, standard or expedited too.',
    });
  if (thaw !== undefined && dryRun === true)
    throw new SysbackupError('USAGE', '--dry-run reads nothing, and so cannot tell what is frozen', {
      hint: 'Leave out --thaw, or leave out --dry-run: without --thaw nothing is asked for, and what is frozen is told.',
    });
}

function days(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of days, 1 at least.');
}

function checkThrough({ runRestoreThrough, snapshots, yes }: RestoreFlags, { question }: Session): void {
  if (runRestoreThrough !== true) return;
  if (snapshots === undefined)
    throw new SysbackupError('USAGE', '--run-restore-through is for snapshots, and none are asked for', {
      hint: 'Give --snapshots DIR too, for what a command fails to take.',
    });
  if (yes !== true && question === undefined)
    throw new SysbackupError(
      'USAGE',
      '--run-restore-through runs commands that stand in the bucket, and there is no terminal to show them on first',
      { hint: 'Look at them with --snapshots DIR alone; then give --yes to run them without being asked.' },
    );
}

function checkTar(
  { toTar, target, checksum, force }: RestoreFlags,
  { globals, output, workingFolder }: Session,
): void {
  if (toTar === undefined && force === true)
    throw new SysbackupError('USAGE', '--force has no meaning without --to-tar', {
      hint: 'What happens to existing files of a restore, --overwrite says.',
    });
  if (toTar === undefined) return;
  const other = target === undefined ? (checksum === true ? '--checksum' : undefined) : '--target';
  if (other !== undefined)
    throw new SysbackupError('USAGE', `--to-tar has no meaning beside ${other}`, {
      hint: 'Leave out one or the other.',
    });
  if (toTar !== '-') {
    if (force !== true) refuseExistingTar(resolve(workingFolder, toTar));
    return;
  }
  if (globals.json === true)
    throw new SysbackupError('USAGE', '--to-tar - and --json both want standard output', {
      hint: 'Give --to-tar a file.',
    });
  if (output.isTerminal)
    throw new SysbackupError('USAGE', 'a tar is nothing for a terminal', {
      hint: 'Redirect standard output, or give --to-tar a file.',
    });
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
