import type { Command } from 'commander';
import { openContent, resolveRun, SysbackupError } from '../../src/index.js';
import { isDoubtful } from '../presentation/doubtful-copies.js';
import { eventLogger } from '../presentation/event-lines.js';
import { tellRun } from '../presentation/which-run.js';
import { RUN_HELP } from '../run-help.js';
import type { Session } from '../session.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

const AFTER_HELP = `${RUN_HELP}

PATH is a file's absolute path, or the name of a snapshot. The bytes are checked while they are printed: where the exit code is not 0, they are not what was
backed up, or not all of it. Symlinks are not followed.

Examples:
  s3-sysbackup cat latest /etc/fstab
  s3-sysbackup cat latest~1 /etc/fstab
  s3-sysbackup cat web1-backup inventory --bucket my-backups
  s3-sysbackup cat 20261120T121033Z-1f2e3d4c /var/lib/dump.sql.gz | zcat | less
`;

export function define(command: Command): void {
  command.argument('<run>', 'which run').argument('<path>', "a file's path, or the name of a snapshot");
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const [text, path] = command.processedArgs as [string, string];
  if (session.globals.json === true)
    throw new SysbackupError('USAGE', '--json has no meaning for cat, which prints content as it is', {
      hint: '`s3-sysbackup ls --json` tells all about the file.',
    });
  const onEvent = eventLogger(session.log);
  const { destination, backup, assume } = await chooseStore(session, command.opts<ReadFlags>(), onEvent);
  return await withStore(session, destination, { onEvent, assume }, async ({ store }) => {
    const { output, signal } = session;
    const chosen = await resolveRun(store, text, { backup, onEvent });
    tellRun(chosen, onEvent);
    const { entry, bytes } = await openContent({ store, run: chosen, path, signal });
    if (isDoubtful(entry)) {
      const message = `the copy of ${path} may be torn (${entry.w.join(', ')}): see \`s3-sysbackup ls --help\``;
      onEvent({ type: 'log', level: 'warning', message });
    }
    for await (const piece of bytes) {
      await output.send(piece);
      if (output.closed) break;
    }
    return 0;
  });
}
