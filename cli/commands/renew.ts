import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { configured } from '../configured.js';
import { documentPath, failureOfRenewal, renew, type RenewResult } from '../../src/index.js';
import { eventLogger } from '../presentation/event-lines.js';
import { EventPresenter } from '../presentation/event-presenter.js';
import { printable } from '../presentation/printable.js';
import { formatCount, formatTime } from '../presentation/quantities.js';
import { saysSummary } from '../presentation/says-summary.js';
import type { Session } from '../session.js';
import { destinationOf } from '../store-flags.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

interface Flags extends ReadFlags {
  name?: string;
  days?: number;
  retainDays?: number;
  accept?: string[];
  memory?: string;
}

const AFTER_HELP = `
Run daily from a machine other than those backed up, under a role of its own: so neither a dead machine nor an attacker with
its rights lets the last good backup lapse. Retention and classes are the conf's, where there is one. The role's rights:
${documentPath('permissions.md')}

Exit code 1: something that should be renewed is missing or damaged; 13: not all could be renewed.

Examples:
  s3-sysbackup renew
  s3-sysbackup renew --bucket my-backups --days 30 --memory /var/lib/s3-sysbackup/renew
  s3-sysbackup renew --accept web1-backup/20261120T020000Z-1a2b3c4d
`;

export function define(command: Command): void {
  command
    .option('--name <name>', 'only the backups of this name')
    .option('--days <n>', 'renew each run that was received within so many days (default: 30)', days)
    .option(
      '--retain-days <n>',
      'days that what is renewed must stay locked (default: the conf’s, or 14)',
      days,
    )
    .option('--accept <name/run>', 'a run from which on a backup is smaller with good reason', collect)
    .option('--memory <file>', 'remember locks from one call to the next: fewer requests');
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const presenter = new EventPresenter(session, 'auto');
  // With --json the result is one document, and standard output holds nothing else.
  const onEvent = session.globals.json === true ? eventLogger(session.log) : presenter.listener;
  const spoolFolder = await mkdtemp(join(tmpdir(), 's3-sysbackup-renew-'));
  try {
    const { destination, assume } = await chooseStore(session, flags, onEvent);
    const named = destinationOf(flags, session.workingFolder) !== undefined;
    const settings = named ? undefined : (await configured(session, () => undefined)).settings;
    return await withStore(session, destination, { onEvent, assume }, async ({ store, requests }) => {
      const result = await renew({
        store,
        backup: flags.name,
        days: flags.days,
        daysRetained: flags.retainDays ?? settings?.content.daysRetained,
        classes: settings?.classes,
        accepted: flags.accept,
        memoryPath: flags.memory === undefined ? undefined : resolve(session.workingFolder, flags.memory),
        spoolFolder,
        onEvent,
        signal: session.signal,
      });
      presenter.finish();
      const exitCode = (await failureOfRenewal(result))?.exitCode ?? 0;
      if (session.globals.json === true) session.output.json({ ...result, requests: requests() });
      else if (saysSummary(session, exitCode)) for (const line of linesOf(result)) session.output.line(line);
      return exitCode;
    });
  } finally {
    presenter.finish();
    await rm(spoolFolder, { recursive: true, force: true });
  }
}

function linesOf({ runs, machines, asked, extended }: RenewResult): string[] {
  const lines = runs.map(({ backup, run: id, reasons, state, until, problem }) => {
    const end = until > 0 ? `, locked until ${formatTime(until * 1000)}` : '';
    const what = problem === undefined ? '' : `: ${problem}`;
    return printable(`${backup}/${id} (${reasons.join(', ')}): ${state}${end}${what}`);
  });
  for (const { backup, newest, lastGood, shrunk } of machines) {
    if (shrunk)
      lines.push(
        printable(
          `${backup}: ${newest} holds far less than ${lastGood}, which is kept; --accept ${backup}/${newest} if it may`,
        ),
      );
  }
  lines.push(`${formatCount(asked)} locks asked for, ${formatCount(extended)} extended`);
  return lines;
}

function days(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of days, 1 at least.');
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
