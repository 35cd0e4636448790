import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Ended, jsonLines, Machine, MAIN, run } from './command.js';

const RECORDER = fileURLToPath(new URL('../../kit/record-modules.mjs', import.meta.url));
const DIST = dirname(dirname(MAIN));

/** What a command loaded: packages by name, and of the program's own files the rooms and the files. */
interface Loaded {
  ended: Ended;
  packages: string[];
  rooms: string[];
  files: string[];
}

let runs = 0;

async function loadedBy(machine: Machine, args: readonly string[]): Promise<Loaded> {
  const record = join(machine.folder, `modules-${runs++}`);
  const ended = await run(args, {
    env: { RECORD_MODULES: record, NODE_OPTIONS: `--import=${RECORDER}`, AWS_EC2_METADATA_DISABLED: 'true' },
  });
  const paths = existsSync(record) ? readFileSync(record, 'utf8').split('\n') : [];
  const packages = paths.flatMap((path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  const files = paths.flatMap((path) => (path.startsWith(`${DIST}/`) ? path.slice(DIST.length + 1) : []));
  const rooms = files.flatMap((file) => /^src\/([^/]+)\//.exec(file)?.[1] ?? []);
  return { ended, packages: distinct(packages), rooms: distinct(rooms), files: distinct(files) };
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

/** Packages of the AWS SDK, its helpers aside. */
function clientsIn({ packages }: Loaded): string[] {
  return packages.filter((name) => name.startsWith('@aws-sdk/client-'));
}

function filesRead({ ended }: Loaded): number {
  return (jsonLines(ended.stdout).at(-1) as { read: { files: number } }).read.files;
}

/** A server that refuses whatever it is asked. */
async function refusingServer(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(403, { 'content-type': 'application/xml' });
    response.end('<Error><Code>AccessDenied</Code><Message>no</Message></Error>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a command loads what it needs', () => {
  it('--help: the command line and no more', async () => {
    const loaded = await loadedBy(new Machine(), ['--help']);
    expect(loaded.ended.code).toBe(0);
    expect(loaded.packages).toEqual(['commander']);
    expect(loaded.files).toContain('cli/program.js');
    expect(loaded.files.length).toBeLessThan(30);
    expect(loaded.files.filter((file) => file.startsWith('cli/commands/'))).toEqual([
      'cli/commands/registry.js',
    ]);
  });

  it("a command's own --help: that command's file too", async () => {
    const loaded = await loadedBy(new Machine(), ['archive', '--help']);
    expect(loaded.packages).toEqual(['commander']);
    expect(loaded.files).toContain('cli/commands/archive.js');
    expect(loaded.files.length).toBeLessThan(50);
  });

  it('list of a directory: no AWS, no system calls, nothing that runs, reads or restores', async () => {
    const machine = new Machine();
    machine.pickData();
    await machine.archive();
    const loaded = await loadedBy(machine, ['list', '--directory', machine.store]);
    expect(loaded.ended.code).toBe(0);
    expect(loaded.packages).toEqual(['commander']);
    expect(loaded.files).toContain('src/audit/list.js');
    for (const room of ['archive', 'catalog', 'content', 'sources']) expect(loaded.rooms).not.toContain(room);
    expect(loaded.files.length).toBeLessThan(85);
  });

  it('archive to a directory: no AWS; what reads files in threads only', async () => {
    const machine = new Machine('[content]\nbundle_below = 64 KiB\n');
    machine.pickData();
    writeFileSync(join(machine.data, 'small'), 'small');
    const args = ['archive', '--json', '--conf-dir', machine.confDir];
    const first = await loadedBy(machine, args);
    expect(first.ended.code).toBe(0);
    expect(first.packages).toEqual(expect.arrayContaining(['commander', 'koffi']));
    expect(clientsIn(first)).toEqual([]);

    // A file is taken for settled only some ticks of the clock after it was written.
    let again = await loadedBy(machine, args);
    while (filesRead(again) > 0) again = await loadedBy(machine, args);
    expect(again.packages).toContain('koffi');
    expect(clientsIn(again)).toEqual([]);
    expect(again.files).toContain('src/archive/run.js');
    expect(again.files).not.toContain('src/content/read-file.js');
    expect(again.files).not.toContain('src/archive/dry-run.js');
  });

  it('of S3 only its client, and only where there is a bucket', async () => {
    const url = await refusingServer();
    const loaded = await loadedBy(new Machine(), ['list', '--bucket', 'bucket', '--endpoint-url', url]);
    expect(loaded.ended.code).not.toBe(0);
    expect(clientsIn(loaded)).toEqual(['@aws-sdk/client-s3']);
    expect(loaded.packages).not.toContain('koffi');
    expect(loaded.files).toContain('src/store/s3.js');
  });
});
