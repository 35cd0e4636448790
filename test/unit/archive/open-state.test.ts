import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openState } from '#src/archive/open-state.js';
import { rebuildCatalog } from '#src/audit/rebuild-catalog.js';
import { Journal, readJournal } from '#src/catalog/journal.js';
import { knownStores } from '#src/catalog/known-stores.js';
import { StateFolder } from '#src/catalog/state-folder.js';
import { contentKey } from '#src/manifest/keys.js';
import { markedStoreOf } from '#src/store/directory-marker.js';
import { openDirectoryStore } from '#src/store/directory.js';
import type { ObjectStore } from '#src/store/port.js';
import { bodyOf } from '../../kit/bodies.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { BEFORE_MARKER, CONTENTS_BEFORE_MARKER, unpackBeforeMarker } from '../../kit/store-before-marker.js';

const SHA = 'ab'.repeat(32);

/** A machine with the fixture's store, which has its marker by now, and what the machine remembers of it. */
async function machineOfBefore(): Promise<{ machine: BackupMachine; store: ObjectStore; before: string }> {
  const machine = new BackupMachine();
  const { store: path } = unpackBeforeMarker(machine.folder);
  const store = await openDirectoryStore({ path, create: true });
  onTestFinished(() => store.close());
  machine.store = store;
  machine.settings = {
    ...machine.settings,
    backupName: BEFORE_MARKER,
    content: { ...machine.settings.content, bundleBelow: 2048 },
  };
  for (const [index, text] of CONTENTS_BEFORE_MARKER.entries()) machine.write(`file${index}`, text);
  return { machine, store, before: `directory:${path}` };
}

/** The journal of a run that was killed before there were markers. */
async function withJournal(
  { machine, store, before }: Awaited<ReturnType<typeof machineOfBefore>>,
  isStored: boolean,
): Promise<string> {
  const version = isStored
    ? (await store.put({ key: contentKey(SHA), body: bodyOf('x'), retention: undefined })).version
    : '0'.repeat(32);
  const path = join(StateFolder.pathOf(machine.statePath, before, BEFORE_MARKER), 'journal');
  const journal = Journal.open(path, { store: before, backupName: BEFORE_MARKER }, false);
  journal.add({ sha: SHA, version, until: 7 });
  journal.close();
  return path;
}

describe('the memory of a store that had no marker', () => {
  it('goes to it with its journal, which the next run takes on', async () => {
    const before = await machineOfBefore();
    await withJournal(before, true);
    const { machine, store } = before;
    const state = await openState({ settings: machine.settings, store });
    expect(StateFolder.headIn(state.path)?.backupName).toBe(BEFORE_MARKER);
    const head = { store: before.before, backupName: BEFORE_MARKER };
    expect([...(readJournal(state.journalPath, [head]) ?? [])]).toHaveLength(1);
    expect(StateFolder.isUsed(StateFolder.pathOf(machine.statePath, before.before, BEFORE_MARKER))).toBe(
      false,
    );
    state.close();
    const { summary, warnings } = await machine.archive();
    expect(warnings).toEqual([]);
    expect(summary.stored.objects).toBe(0);
  });

  it('is divided where catalog and journal are of different stores', async () => {
    const before = await machineOfBefore();
    const journal = await withJournal(before, false);
    const { machine, store } = before;
    const state = await openState({ settings: machine.settings, store });
    expect(StateFolder.headIn(state.path)).toBeDefined();
    const head = { store: before.before, backupName: BEFORE_MARKER };
    expect([...(readJournal(journal, [head]) ?? [])]).toHaveLength(1);
    state.close();
  });

  it('stays where it is while a dry run uses it, and where another run does', async () => {
    const { machine, store, before } = await machineOfBefore();
    const old = StateFolder.pathOf(machine.statePath, before, BEFORE_MARKER);
    const dry = await openState({ settings: machine.settings, store, dryRun: true });
    expect(dry.path).toBe(old);
    await expect(openState({ settings: machine.settings, store })).rejects.toMatchObject({
      code: 'RUN_LOCKED',
    });
    dry.close({ untouched: true });
    expect(StateFolder.isUsed(old)).toBe(true);
  });

  it('stays where it is where it is damaged, and is no hindrance', async () => {
    const { machine, store, before } = await machineOfBefore();
    const old = StateFolder.pathOf(machine.statePath, before, BEFORE_MARKER);
    writeFileSync(join(old, 'current'), '');
    const state = await openState({ settings: machine.settings, store });
    expect(StateFolder.isUsed(state.path)).toBe(false);
    state.close();
    expect((await machine.archive()).summary.outcome).toBe('complete');
  });

  it('rebuilt makes its store known, so that its disk is missed', async () => {
    const { machine, store } = await machineOfBefore();
    rmSync(machine.statePath, { recursive: true });
    const id = markedStoreOf(store.identity)?.id;
    await machine.archive();
    rmSync(machine.statePath, { recursive: true });
    await rebuildCatalog({ settings: machine.settings, store });
    expect(knownStores(machine.statePath, store.description).ids).toEqual(new Set([id]));
  });
});
