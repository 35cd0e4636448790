import type { Command } from 'commander';
import {
  type RebuiltCatalog,
  documentPath,
  rebuildCatalog,
  resolveRun,
  SysbackupError,
} from '../../src/index.js';
import { configured } from '../configured.js';
import { eventLogger } from '../presentation/event-lines.js';
import { EventPresenter } from '../presentation/event-presenter.js';
import { printable } from '../presentation/printable.js';
import { countOf, formatCount } from '../presentation/quantities.js';
import { isYes } from '../question.js';
import { addRoleOptions, assumeRequest, readAs, type RoleFlags } from '../role.js';
import { saysSummary } from '../presentation/says-summary.js';
import type { Session } from '../session.js';
import { withStore } from '../store.js';

interface Flags extends RoleFlags {
  name?: string;
  trustManifest?: true;
  yes?: true;
}

const AFTER_HELP = `
For a machine whose state directory was lost or damaged. It reads back the newest run that this machine has stored under
its backup name, or the run that is named, and remembers what is stored and until when it is locked. The next archive
reads all files, and stores no content again, also what is in bundles.

It needs the right to read, which the credentials in the conf do not have: name others. Bundles are read whole, since a
manifest alone could be an attacker's. A machine set up anew has another id: name the run then. The rights it needs:
${documentPath('permissions.md')}

RUN is named as in s3-sysbackup restore --help.

Exit code 3: done, but some of what the run names is gone or damaged; the next archive stores it anew.

Examples:
  s3-sysbackup rebuild-catalog --profile restore
  s3-sysbackup rebuild-catalog 20261120T121033Z-1f2e3d4c --package my-backup --mfa-device arn:aws:iam::123456789012:mfa/me
`;

export function define(command: Command): void {
  command
    .argument('[run]', 'which run (default: the newest that this machine has stored)')
    .option('--name <name>', 'whose backup this is (default: [backup] name, or <hostname>-backup)')
    .option('--trust-manifest', 'believe what the run says of bundles, and save reading them')
    .option('--yes', 'replace a whole catalog without being asked');
  addRoleOptions(command);
  command.option('--profile <profile>', "of the AWS configuration, instead of the conf's credentials");
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const presenter = new EventPresenter(session, 'auto');
  // With --json the result is one document, and standard output holds nothing else.
  const onEvent = session.globals.json === true ? eventLogger(session.log) : presenter.listener;
  try {
    const assume = assumeRequest(flags, session);
    const { settings } = await configured(session, onEvent, { backupName: flags.name });
    const destination = readAs(settings.destination, flags);
    return await withStore(session, destination, { onEvent, assume }, async ({ store, requests }) => {
      const wanted = command.processedArgs[0] as string | undefined;
      const backup = settings.backupName;
      const result = await rebuildCatalog({
        settings,
        store,
        run: wanted === undefined ? undefined : await resolveRun(store, wanted, { backup, onEvent }),
        trustManifest: flags.trustManifest,
        mayReplace: (known) => mayReplace(known, flags, session),
        onEvent,
        signal: session.signal,
      });
      presenter.finish();
      const exitCode = result.missing + result.refused > 0 ? 3 : 0;
      if (session.globals.json === true) session.output.json({ ...result, requests: requests() });
      else if (saysSummary(session, exitCode)) for (const line of linesOf(result)) session.output.line(line);
      return exitCode;
    });
  } catch (error) {
    throw explained(error);
  } finally {
    presenter.finish();
  }
}

/** The credentials of a machine may not read, and that is as it should be. */
function explained(error: unknown): unknown {
  if (!(error instanceof SysbackupError) || error.code !== 'ACCESS_DENIED') return error;
  const hint = `Reading back takes the rights of who restores: --profile, --role-arn or --package; see ${documentPath('permissions.md')}`;
  return new SysbackupError('ACCESS_DENIED', error.message, { hint, cause: error });
}

async function mayReplace(known: string, { yes }: Flags, session: Session): Promise<boolean> {
  if (yes === true) return true;
  const { question, screen, terminal } = session;
  if (question === undefined)
    throw new SysbackupError(
      'USAGE',
      `there is a whole catalog, of run ${known}, and no terminal to ask on whether to replace it`,
      { hint: 'It knows which files are unchanged, and a new one does not. Give --yes if it is to go.' },
    );
  if (terminal) screen.status('');
  screen.line(printable(`There is a whole catalog, of run ${known}.`));
  return isYes(await question('It knows which files are unchanged; a new one does not. Replace it? [y/N] '));
}

function linesOf({ backup, run, objects, bundles, members, ...rest }: RebuiltCatalog): string[] {
  const { missing, refused, unknownLocks } = rest;
  return [
    printable(`${backup}: read back from run ${run}`),
    `  known   ${countOf(objects, 'object')}, ${countOf(bundles, 'bundle')} with ${countOf(members, 'content')}`,
    ...(unknownLocks > 0
      ? [`  locks   ${formatCount(unknownLocks)} not told: extended when they are used`]
      : []),
    ...(missing + refused > 0
      ? [
          `  unknown ${formatCount(missing)} gone, ${formatCount(refused)} not as they should be: stored anew if need be`,
        ]
      : []),
  ];
}
