import type { Command } from 'commander';
import { type Change, diffRuns, documentPath, resolveRun } from '../../src/index.js';
import { changeLine } from '../presentation/change-lines.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatCount } from '../presentation/quantities.js';
import { tellRun } from '../presentation/which-run.js';
import { RUN_HELP } from '../run-help.js';
import type { Session } from '../session.js';
import { addReadOptions, chooseStore, type ReadFlags, withStore } from '../store.js';

const AFTER_HELP = `${RUN_HELP}

What the second has and the first has not is "+", what only the first has is "-", and "~" is in both, followed by what changed of it: content, kind,
symlink's target, mode, owner, group, ACL (its lines that went with "-" and that came with "+"), extended attributes
(likewise; without a sign: another value), modification time. Times are UTC.

With --json each change is a line {"change": "added" | "removed" | "changed", "before", "after", "parts"}, with entries
as they stand in the manifests: ${documentPath('format.md')}

Examples:
  s3-sysbackup diff latest~1 latest
  s3-sysbackup diff 20261119T121033Z-1f2e0815 2026-11-20
  s3-sysbackup diff web1-backup web2-backup --bucket my-backups
`;

export function define(command: Command): void {
  command.argument('<run>', 'the earlier run').argument('<other>', 'the later one');
  addReadOptions(command);
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const [first, second] = command.processedArgs as [string, string];
  const onEvent = eventLogger(session.log);
  const { destination, backup, assume } = await chooseStore(session, command.opts<ReadFlags>(), onEvent);
  return await withStore(session, destination, { onEvent, assume }, async ({ store }) => {
    const { output, signal, log } = session;
    const before = await resolveRun(store, first, { backup, onEvent });
    tellRun(before, onEvent);
    const after = await resolveRun(store, second, { backup, onEvent });
    tellRun(after, onEvent);
    const counts: Record<Change['change'], number> = { added: 0, removed: 0, changed: 0 };
    const present = session.globals.json === true ? JSON.stringify : changeLine;
    for await (const changes of diffRuns({ store, before, after, signal })) {
      for (const { change } of changes) counts[change] += 1;
      await output.send(`${changes.map((change) => present(change)).join('\n')}\n`);
      if (output.closed) return 0;
    }
    const [added, removed, changed] = [counts.added, counts.removed, counts.changed].map(formatCount);
    log.write('info', `${added} added, ${removed} removed, ${changed} changed`);
    return 0;
  });
}
