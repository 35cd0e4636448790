import { type Command, InvalidArgumentError } from 'commander';
import { documentPath, listEntries, resolveRun } from '../../src/index.js';
import { EntryLines } from '../presentation/entry-lines.js';
import { eventLogger } from '../presentation/event-lines.js';
import { tellRun } from '../presentation/which-run.js';
import { RUN_HELP } from '../run-help.js';
import type { Session } from '../session.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

interface Flags extends ReadFlags {
  depth?: number;
}

const AFTER_HELP = `${RUN_HELP}

Without PATH all of the run is listed, in the order of the paths, and then its snapshots. PATH stands for itself and all
that is below it, or is the name of a snapshot. Times are UTC, and seconds since 1970 with an "@" before
them where no calendar goes that far; "?" is what the run's format does not know. "!" behind the mode marks a file
whose copy may be torn: it changed while it was read, or its lock could not be had; "w" in its entry says which.

With --json each entry is a line, as it stands in the manifest: ${documentPath('format.md')}

Examples:
  s3-sysbackup ls latest
  s3-sysbackup ls 2026-11-20 /etc
  s3-sysbackup ls web1-backup /etc --depth 1
  s3-sysbackup ls 20261120T121033Z-1f2e3d4c / --json | jq -r 'select(.size > 1e9).path'
  s3-sysbackup ls latest --json | jq -c 'select(.w) | [.path, .w]'
`;

export function define(command: Command): void {
  command
    .argument('<run>', 'which run')
    .argument('[path]', 'only this path and what is below it')
    .option('--depth <levels>', 'only so many levels below PATH, 0 for itself alone', wholeNumber);
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const [text, path] = command.processedArgs as [string, string | undefined];
  const onEvent = eventLogger(session.log);
  const { destination, backup, assume } = await chooseStore(session, flags, onEvent);
  return await withStore(session, destination, { onEvent, assume }, async ({ store }) => {
    const { output, signal } = session;
    const chosen = await resolveRun(store, text, { backup, onEvent });
    tellRun(chosen, onEvent);
    const lines = new EntryLines();
    const json = session.globals.json === true;
    const { depth } = flags;
    for await (const entries of listEntries({ store, run: chosen, path, depth, signal })) {
      const shown = entries.map((entry) => (json ? JSON.stringify(entry) : lines.of(entry)));
      await output.send(`${shown.join('\n')}\n`);
      if (output.closed) break;
    }
    return 0;
  });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0 on.');
  return Number(text);
}
