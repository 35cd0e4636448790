import { Command, Option } from 'commander';
import { COMMANDS, type CommandModule } from './commands/registry.js';
import { LOG_LEVELS } from './presentation/log.js';
import type { GlobalFlags } from './session.js';
import { documentPath, EXIT_CODES } from '../src/index.js';

/** What the command line asks for. */
export interface Invocation {
  module: CommandModule;
  command: Command;
  globals: GlobalFlags;
  confDirGiven: boolean;
}

export interface ProgramOptions {
  version: string;
  /** Gets help and version. */
  writeOut: (text: string) => void;
  /** Gets the help that nobody asked for. */
  writeErr: (text: string) => void;
  run: (invocation: Invocation) => Promise<void>;
}

const AFTER_HELP = `
Examples:
  s3-sysbackup archive                             back up as /etc/backup says
  s3-sysbackup list --bucket my-backups            what is in a bucket
  s3-sysbackup restore latest --target /tmp/back   files of the newest run

The first of the documents to read:
  ${documentPath('getting-started.md')}

Exit codes:
${EXIT_CODES.map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning.replaceAll('`', '')}`).join('\n')}
`;

/**
 * The command line as commander reads it. Options of a command are known only when it is named: see
 * {@link COMMANDS}. Throws CommanderError where commander would exit.
 */
export function buildProgram(options: ProgramOptions): Command {
  const program = new Command('s3-sysbackup');
  // Before the commands are made: they take over these.
  program
    .exitOverride()
    .configureOutput({
      writeOut: options.writeOut,
      writeErr: options.writeErr,
      // Said by usageError() in this program's own form.
      outputError: () => undefined,
    })
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false)
    .helpOption('-h, --help', 'show help');
  program
    .description('Write-once-read-many backups of systems to S3 Object Lock or a directory.')
    .usage('<command> [options]')
    .version(options.version, '-V, --version', 'show the version')
    .option('--conf-dir <dir>', 'folder with conf, pickers.d and snapshots.d', '/etc/backup')
    .option('--json', 'print JSON, for programs')
    .addOption(
      new Option('--log-level <level>', 'least grave kind of message to show')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .option('--log-to <path>', 'append the messages to a file too, with the time')
    .option(
      '--quiet',
      'say nothing where all goes well (--log-level error implies it; not with --json, nor a dry run)',
    )
    .addHelpText('after', AFTER_HELP);

  const modules = new Map<Command, CommandModule>();
  for (const { name, summary } of COMMANDS) {
    const command = program.command(name).description(summary);
    command.action(async () => {
      const module = modules.get(command);
      if (module === undefined) throw new Error(`${name} was not loaded`);
      const confDirGiven = program.getOptionValueSource('confDir') !== 'default';
      await options.run({ module, command, globals: program.opts<GlobalFlags>(), confDirGiven });
    });
  }
  const define = async (command: Command): Promise<void> => {
    const entry = COMMANDS.find(({ name }) => name === command.name());
    if (entry === undefined || modules.has(command)) return;
    const module = await entry.load();
    module.define(command);
    modules.set(command, module);
  };
  program.hook('preSubcommand', (_program, command) => define(command));

  program
    .command('help', { hidden: true })
    .argument('[command]')
    .action(async (name: string | undefined) => {
      const command = program.commands.find((known) => known.name() === name);
      if (name !== undefined && command === undefined) program.error(`unknown command '${name}'`);
      if (command !== undefined) await define(command);
      (command ?? program).outputHelp();
    });
  return program;
}
