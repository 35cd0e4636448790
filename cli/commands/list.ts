import type { Command } from 'commander';
import { type ListedBackup, listBackups, resolveRun } from '../../src/index.js';
import { completeText } from '../presentation/complete-text.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatBytes, formatCount, formatTime } from '../presentation/quantities.js';
import { type Column, formatTable } from '../presentation/table.js';
import type { Session } from '../session.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

interface Flags extends ReadFlags {
  name?: string;
}

const AFTER_HELP = `
Below the table it says of each backup whose last run is not complete when the last complete one was, and how many runs
were stored after it: as a warning after three runs and 48 hours. --json has both in each run of the backup, as
lastComplete and sinceComplete.

Examples:
  s3-sysbackup list
  s3-sysbackup list --name web1-backup --json
  s3-sysbackup list --directory /srv/backup
`;

export function define(command: Command): void {
  command.option('--name <name>', 'only the backups of this name');
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const onEvent = eventLogger(session.log);
  const { destination, assume } = await chooseStore(session, flags, onEvent);
  return await withStore(session, destination, { onEvent, assume }, async ({ store }) => {
    const { signal, output, log } = session;
    let hidden = 0;
    const onHidden = ({ length }: readonly unknown[]): void => {
      hidden = length;
    };
    const backups = await listBackups(store, { name: flags.name, footers: true, onEvent, onHidden, signal });
    // Throws, with the nearest names.
    if (flags.name !== undefined && backups.length + hidden === 0)
      await resolveRun(store, `${flags.name}/latest`, { onEvent });
    if (session.globals.json === true) {
      output.json(backups.map(jsonOf));
    } else if (backups.length === 0) {
      if (hidden === 0) log.write('info', `there is no backup in ${store.description}`);
    } else {
      for (const line of formatTable(COLUMNS, backups.map(rowOf))) output.line(line);
    }
    for (const { name, run, suspicious, problem, received } of backups) {
      if (suspicious)
        log.write(
          'warning',
          `${name}/${run} is dated after ${formatTime(received)}, when the store received it`,
        );
      if (problem !== undefined) log.write('warning', `${name}/${run}: ${problem}`);
    }
    for (const [name, history] of new Map(backups.map(({ name, history }) => [name, history]))) {
      if (history.sinceComplete === 0) continue;
      const level = history.lacksComplete ? 'warning' : 'info';
      if (level === 'warning' || session.globals.json !== true)
        log.write(level, `${name}: ${completeText(history)}`);
    }
    return 0;
  });
}

const COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'RUN' },
  { title: 'TIME' },
  { title: 'OUTCOME' },
  { title: 'FILES', align: 'right' },
  { title: 'BYTES', align: 'right' },
  { title: 'LOCKED UNTIL' },
];

function rowOf({ name, run, time, outcome, format, counts, bytes, lock, problem }: ListedBackup): string[] {
  const unknown = problem === undefined ? '' : '?';
  return [
    name,
    run,
    formatTime(time),
    format === 1 ? 'older format' : outcome,
    counts === undefined ? unknown : formatCount(counts.f),
    bytes === undefined ? unknown : formatBytes(bytes),
    lock === undefined ? unknown || 'not locked' : formatTime(lock.until * 1000),
  ];
}

/** Times as ISO 8601 text; what is not known as null. The last two are the backup's, the same for all its runs. */
function jsonOf(backup: ListedBackup): object {
  const {
    name,
    run,
    time,
    received,
    outcome,
    format,
    key,
    version,
    counts,
    bytes,
    lock,
    suspicious,
    ahead,
    problem,
    history,
  } = backup;
  return {
    name,
    run,
    time: new Date(time).toISOString(),
    received: new Date(received).toISOString(),
    outcome: format === 1 ? null : outcome,
    format,
    files: counts?.f ?? null,
    counts: counts ?? null,
    bytes: bytes ?? null,
    locked_until: lock === undefined ? null : new Date(lock.until * 1000).toISOString(),
    lock_mode: lock?.mode ?? null,
    key,
    version,
    suspicious,
    ahead,
    problem: problem ?? null,
    lastComplete: history.lastComplete,
    sinceComplete: history.sinceComplete,
  };
}
