import type { Command } from 'commander';
import { type ParameterChange, type ResourceChange, updateResources } from '../../src/index.js';
import { askYes } from '../ask.js';
import { eventLogger } from '../presentation/event-lines.js';
import { formatTable } from '../presentation/table.js';
import {
  accessOf,
  addResourceOptions,
  parametersOf,
  printResources,
  type ResourceFlags,
} from '../resource-flags.js';
import type { Session } from '../session.js';

interface Flags extends ResourceFlags {
  yes?: true;
}

const AFTER_HELP = `
Brings the resources to this version's template, and changes what options name; all else keeps its value. Shows the
changes first, and asks. What would replace the bucket is refused.

Examples:
  s3-sysbackup update-resources --cf-region eu-central-1
  s3-sysbackup update-resources --max-lock-days 500 --yes
`;

export function define(command: Command): void {
  addResourceOptions(command, 'update');
  command.option('--yes', 'do not ask').addHelpText('after', AFTER_HELP);
}

export async function run(command: Command, session: Session): Promise<number> {
  const flags = command.opts<Flags>();
  const summary = await updateResources({
    access: accessOf(session, flags),
    stackName: flags.stackName,
    parameters: parametersOf(flags),
    onEvent: eventLogger(session.log),
    signal: session.signal,
    confirm: async (changes, changedParameters) => {
      for (const line of linesOf(changes, changedParameters)) session.screen.line(line);
      return flags.yes === true || (await askYes(session, 'Change that?', 'Agree beforehand with --yes.'));
    },
  });
  printResources(session, summary);
  return 0;
}

function linesOf(changes: readonly ResourceChange[], parameters: readonly ParameterChange[]): string[] {
  return [
    ...table(
      ['PARAMETER', 'NOW', 'THEN'],
      parameters.map(({ name, from = '(none)', to }) => [name, from || '(empty)', to || '(empty)']),
    ),
    ...(changes.length === 0 ? ['No resource changes.'] : []),
    ...table(
      ['ACTION', 'RESOURCE', 'TYPE', 'WHAT OF IT', 'MADE ANEW'],
      changes.map(({ action, resource, type, what, replacement }) => [
        action,
        resource,
        type,
        what.join(', '),
        replacement === undefined || replacement === 'False' ? 'no' : replacement.toLowerCase(),
      ]),
    ),
  ];
}

function table(titles: readonly string[], rows: string[][]): string[] {
  if (rows.length === 0) return [];
  return formatTable(
    titles.map((title) => ({ title })),
    rows,
  );
}
