import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { restore } from '#src/restore/restore.js';
import { restoreToTar } from '#src/restore/tar.js';
import type { SysbackupEvent } from '#src/events.js';
import { describe, expect, it } from 'vitest';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';
import { temporaryFolder } from '../../kit/temporary.js';

/** A machine with the layers of a container engine, in which files were deleted. */
function withLayers(): BackupMachine {
  const machine = new BackupMachine();
  machine.write('plain/file', 'plain');
  for (const layer of ['one', 'two']) {
    const folder = join(machine.tree, 'docker/overlay2', layer, 'diff');
    mkdirSync(folder, { recursive: true });
    execFileSync('mknod', [join(folder, 'deleted'), 'c', '0', '0']);
  }
  execFileSync('mkfifo', [join(machine.tree, 'fifo')]);
  return machine;
}

/** What a restore of such paths warns of. */
async function warningsOf(
  machine: BackupMachine,
  { summary }: RunResult,
  include: string[],
): Promise<string[]> {
  const events: SysbackupEvent[] = [];
  const { key = '', version = '' } = summary.manifest ?? {};
  const options = {
    store: machine.store,
    run: { key, version },
    spoolFolder: temporaryFolder(),
    include,
    onEvent: (event: SysbackupEvent) => events.push(event),
  };
  await restore({ ...options, target: temporaryFolder() });
  const ofRestore = events.splice(0);
  await restoreToTar({ ...options, write: async () => undefined });
  const [first, second] = [ofRestore, events].map((all) =>
    all.flatMap((event) => (event.type === 'log' && event.level === 'warning' ? [event.message] : [])),
  );
  expect(first).toEqual(second);
  return first ?? [];
}

describe('overlay whiteouts', () => {
  it('are one failure for each picker, with their number and what to leave out, and a note each', async () => {
    const machine = withLayers();
    const { tree } = machine;
    machine.picker('one', `echo '${tree}/docker/overlay2/one/diff/deleted'`);
    const run = await machine.archive();
    expect(run.summary.outcome).toBe('partial');
    const failures = run.problems.filter(({ severity }) => severity === 'failure');
    expect(failures.map(({ code, source }) => [code, source]).toSorted()).toEqual([
      ['overlay-whiteouts', 'one'],
      ['overlay-whiteouts', 'tree'],
    ]);
    const ofTree = failures.find(({ source }) => source === 'tree');
    expect(ofTree?.path).toMatch(/overlay2\/(?:one|two)\/diff\/deleted$/);
    expect(ofTree?.message).toContain('2 overlay whiteouts');
    expect(ofTree?.message).toContain(`-path ${tree}/docker/overlay2 -prune`);
    const notes = run.problems.filter(({ severity }) => severity === 'note');
    expect(notes.map(({ code, path }) => [code, path]).toSorted()).toEqual([
      ['overlay-whiteout', `${tree}/docker/overlay2/one/diff/deleted`],
      ['overlay-whiteout', `${tree}/docker/overlay2/two/diff/deleted`],
      ['special-file', `${tree}/fifo`],
    ]);
    const lines = (await machine.lines(run.summary)).filter(({ typ }) => typ === 'problem');
    expect(lines).toHaveLength(5);
  });

  it('are counted, and named by a restore of a selection that lacks some, and by no other', async () => {
    const machine = withLayers();
    const run = await machine.archive();
    const [failure] = run.problems.filter(({ severity }) => severity === 'failure');
    expect(failure?.message).toContain('2 overlay whiteouts');
    const { tree } = machine;
    const [both, ...more] = await warningsOf(machine, run, [tree]);
    expect(both).toContain('2 overlay whiteouts');
    expect(more).toEqual([]);
    const [second] = await warningsOf(machine, run, [`${tree}/docker/overlay2/two`]);
    expect(second).toContain(`${tree}/docker/overlay2/two/diff/deleted`);
    expect(await warningsOf(machine, run, [`${tree}/plain`])).toEqual([]);
  });
});
