import type { Command } from 'commander';
import { createResources, planResources } from '../../src/index.js';
import { eventLogger } from '../presentation/event-lines.js';
import {
  accessOf,
  addResourceOptions,
  parametersOf,
  printResources,
  type ResourceFlags,
} from '../resource-flags.js';
import type { Session } from '../session.js';

interface Flags extends ResourceFlags {
  dryRun?: true;
}

const AFTER_HELP = `
Makes a bucket in which everything is locked, and roles and groups for backing up, restoring, auditing and renewing,
as one CloudFormation stack. Needs administrator rights; costs nothing as long as nothing is stored. Interrupted, it
can be run again.

Examples:
  s3-sysbackup create-resources --cf-region eu-central-1
  s3-sysbackup create-resources --package-name backup-eu --export backup-eu --bucket-name my-backups
  s3-sysbackup create-resources --dry-run
`;

export function define(command: Command): void {
  addResourceOptions(command, 'create');
  command
    .option('--dry-run', 'print the template and the parameters, and send nothing')
    .addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const { stackName } = flags;
  const parameters = parametersOf(flags);
  if (flags.dryRun === true) {
    await printPlan(session, flags);
    return 0;
  }
  const summary = await createResources({
    access: accessOf(session, flags),
    stackName,
    parameters,
    onEvent: eventLogger(session.log),
    signal: session.signal,
  });
  printResources(session, summary);
  return 0;
}

async function printPlan(session: Session, flags: Flags): Promise<void> {
  const plan = await planResources({ stackName: flags.stackName, parameters: parametersOf(flags) });
  if (session.globals.json === true) {
    session.output.json(plan);
    return;
  }
  session.output.write(plan.template);
  session.output.line('');
  session.output.line(`# Stack ${plan.stackName}, with these parameters, and else the defaults above:`);
  for (const [name, value] of Object.entries(plan.parameters)) session.output.line(`#   ${name}: ${value}`);
}
