import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import {
  type Step,
  SysbackupError,
  type WriteConfigSummary,
  carryOutPlan,
  describeStep,
  findExecutables,
  writeConfig,
} from '../../src/index.js';
import { askYes } from '../ask.js';
import { eventLogger } from '../presentation/event-lines.js';
import { carryOutWithSudo } from '../run-with-sudo.js';
import type { Session } from '../session.js';
import {
  addWriteConfigOptions,
  credentialsOf,
  encryptedOf,
  type WriteConfigFlags,
} from '../write-config-flags.js';

/** How a unit starts this program, whatever is in its PATH. */
const PROGRAM = [process.execPath, fileURLToPath(new URL('../main.js', import.meta.url))];

const AFTER_HELP = `
Writes the conf, the credentials, examples of a picker and a snapshotter, and a service with a daily timer; makes the
user that they run as; with --directory also the store, a directory with its marker file. A conf that is there keeps its comments and all settings that no option names, and is kept
beside the new one. All or nothing: where a step fails, what was done before is taken back, an IAM user too.
AWS is asked as AWS_PROFILE or the environment says; --user takes an administrator's rights.

Examples:
  s3-sysbackup write-config --user web1
  s3-sysbackup write-config --user fleet --creds-file fleet.cpt        make a key to carry to other machines
  s3-sysbackup write-config --creds-file fleet.cpt                     and there
  s3-sysbackup write-config --directory /srv/backup --retain-days 30
  s3-sysbackup write-config --user web1 --dry-run
`;

export function define(command: Command): void {
  addWriteConfigOptions(command);
  command.addOption(new Option('--carry-out', 'read a plan from standard input, as root').hideHelp());
  command.addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<WriteConfigFlags>();
  const onEvent = eventLogger(session.log);
  const { env, signal, user, host, userAtHost } = session;
  if (flags.carryOut === true) {
    await carryOutPlan(readFileSync(0, 'utf8'), { env, onEvent, signal });
    return 0;
  }
  const summary = await writeConfig({
    confDir: resolve(session.workingFolder, session.globals.confDir),
    access: { region: flags.cfRegion, endpointUrl: flags.endpointUrl, env, userAtHost },
    packageName: flags.packageName,
    stackName: flags.stackName,
    bucket: flags.bucket,
    directory: flags.directory === undefined ? undefined : resolve(session.workingFolder, flags.directory),
    credentials: credentialsOf(flags),
    encrypted: encryptedOf(flags, session),
    retainDays: flags.retainDays,
    units: unitsOf(flags, session),
    renewTimer: flags.renewTimer === true,
    dryRun: flags.dryRun === true,
    hostname: host,
    user,
    env,
    onEvent,
    signal,
    agreeToRoot: (steps) => agreeToRoot(session, flags, steps),
    carryOutAsRoot: (steps) => carryOutWithSudo(PROGRAM, steps),
  });
  await print(session, summary);
  return 0;
}

function unitsOf(
  { systemdUnit, unitDir, bkpwinStart, bkpwinLength, start }: WriteConfigFlags,
  { workingFolder }: Session,
): Parameters<typeof writeConfig>[0]['units'] {
  if (systemdUnit === false) return undefined;
  return {
    name: systemdUnit,
    folder: resolve(workingFolder, unitDir),
    program: PROGRAM,
    windowStart: bkpwinStart,
    windowLength: bkpwinLength,
    start,
  };
}

async function agreeToRoot(session: Session, flags: WriteConfigFlags, steps: readonly Step[]): Promise<void> {
  session.screen.line('This takes root:');
  for (const step of steps) session.screen.line(`  ${describeStep(step)}`);
  if (flags.yes === true) return;
  if (await askYes(session, 'Do that with sudo?', 'Agree beforehand with --yes, or run this as root.'))
    return;
  throw new SysbackupError('ABORTED', 'nothing was done');
}

async function print(session: Session, summary: WriteConfigSummary): Promise<void> {
  const { steps, saved, users, done, scope } = summary;
  if (session.globals.json === true) {
    session.output.json({ ...summary, steps: steps.map(shown) });
    return;
  }
  for (const user of users) session.output.line(`IAM     ${done ? 'user' : 'new user'} ${user}`);
  for (const step of steps) {
    session.output.line(describeStep(step));
    if (!done && step.kind === 'file') for (const line of contentOf(step)) session.output.line(`  | ${line}`);
  }
  for (const path of saved)
    session.output.line(`file    0600 ${path} (encrypted: carry it to other machines)`);
  if (!done) return;
  const { confDir } = session.globals;
  const { log } = session;
  const pickers = join(confDir, 'pickers.d');
  // Whose they are is archive's business.
  if ((await findExecutables(pickers, { uid: 1 })).executables.length === 0)
    log.write('info', `next: make pickers in ${pickers}, see the example there`);
  if (scope === 'personal')
    log.write(
      'info',
      `${confDir} is your own, so no units were written: start archive with cron, or as root`,
    );
}

/** As JSON, without what must not be shown. */
function shown(step: Step): object {
  return step.kind === 'file' && step.secret ? { ...step, content: null } : step;
}

function contentOf(step: Step & { kind: 'file' }): string[] {
  return step.secret ? ['(a key)'] : step.content.trimEnd().split('\n');
}
