import { writeFileSync } from 'node:fs';
import { openState } from '../archive/open-state.js';
import { EntryBlockWriter } from '../catalog/entry-blocks.js';
import type { CatalogHead } from '../catalog/head.js';
import { rememberIdentity } from '../catalog/known-stores.js';
import { machineId } from '../catalog/machine-id.js';
import { writeHead, writeObjectsFile } from '../catalog/objects-file.js';
import type { NewGeneration, StateFolder } from '../catalog/state-folder.js';
import { USUAL_BUNDLE_BELOW } from '../config/content-section.js';
import { SysbackupError } from '../errors.js';
import type { EventListener } from '../events.js';
import { fetchManifest } from '../manifest/fetch.js';
import { MANIFEST_FORMAT } from '../manifest/types.js';
import { findOwnRun, type OwnRun } from './own-run.js';
import { ContentRecovery } from './recover-content.js';
import { NamedContent } from './named-content.js';
import type { RebuildCatalogOptions, RebuiltCatalog } from './rebuild-options.js';

/**
 * Makes the catalog of this machine anew from a run in the store: which content is stored where, in bundles too, and
 * until when it is locked. So the next run reads all files, since a manifest does not tell when a file is unchanged,
 * and stores none of their contents again. The catalog appears whole or not at all.
 *
 * Nothing is believed only because a manifest says it: bundles are read and hashed (but see `trustManifest`), and
 * content objects are used by the next run only where they are the bytes that it would store.
 *
 * Throws RUN_LOCKED, NOT_FOUND where there is no such run, USAGE where a catalog is there or the run is of another
 * backup, DAMAGED where the run that was named is, ACCESS_DENIED, STORE_FAILED, SYSTEM and ABORTED.
 */
export async function rebuildCatalog(options: RebuildCatalogOptions): Promise<RebuiltCatalog> {
  const { settings, store } = options;
  const state = await openState({ settings, store });
  try {
    await checkReplacing(state, options);
    options.onEvent?.({ type: 'phase', phase: 'rebuild' });
    const machine = machineId(settings.statePath, options.systemIdPath);
    const { run, manifest } = await ownRun(options, machine, state.spoolPath);
    const named = new NamedContent();
    const snapshots: CatalogHead['snapshots'] = {};
    for await (const lines of manifest.lines(options.signal)) {
      for (const line of lines) {
        named.add(line);
        if (line.typ === 's') snapshots[line.name] = line.size ?? 0;
      }
    }
    await manifest.remove();
    const recovery = await ContentRecovery.of(named, options);
    await recovery.recover();
    const head: CatalogHead = {
      format: 3,
      store: store.identity,
      backupName: settings.backupName,
      machine,
      run: run.run,
      manifest: { key: run.key, version: run.version },
      entriesAt: 0,
      manifestUntil: 0,
      turn: 0,
      pickers: {},
      missing: [],
      snapshots,
      // A listing would show a thief's runs too: the next run stands for its week, month and year once more.
      classes: {},
      users: {},
      groups: {},
      objectLock: false,
      // In the other form every small file would be stored once more.
      bundleBelow: named.bundles.length === 0 ? 0 : USUAL_BUNDLE_BELOW,
    };
    write(state, recovery, head, options.onEvent);
    rememberIdentity(settings.statePath, store.identity);
    return { backup: settings.backupName, run: run.run, ...recovery.counts };
  } finally {
    state.close({ warn: (message) => options.onEvent?.({ type: 'log', level: 'warning', message }) });
  }
}

async function checkReplacing(state: StateFolder, { mayReplace }: RebuildCatalogOptions): Promise<void> {
  const known = state.readCatalog();
  if (known === undefined || typeof known === 'string') return;
  if (mayReplace === undefined)
    throw new SysbackupError('USAGE', `there is a whole catalog in ${state.path}, of run ${known.head.run}`, {
      hint: 'It knows more than what can be read back: which files are unchanged. Rebuild it only where it is wrong.',
    });
  if (!(await mayReplace(known.head.run)))
    throw new SysbackupError('ABORTED', 'the catalog that is there was kept: you did not say yes');
}

async function ownRun(
  { store, settings, run, onEvent, signal }: RebuildCatalogOptions,
  machine: string,
  spoolFolder: string,
): Promise<OwnRun> {
  const backup = settings.backupName;
  if (run === undefined) return await findOwnRun({ store, backup, machine, spoolFolder, onEvent, signal });
  if (run.backup !== backup)
    throw new SysbackupError(
      'USAGE',
      `the run ${run.run} is of ${run.backup}, and this machine's is ${backup}`,
      {
        hint: 'Name a run of that backup, or give the backup name with --name.',
      },
    );
  if (run.format !== MANIFEST_FORMAT)
    throw new SysbackupError(
      'USAGE',
      `the run ${run.run} is in the older format, which no catalog is made of`,
      {
        hint: 'The next run finds by itself what of it can be used again.',
      },
    );
  return { run, manifest: await fetchManifest(store, run, spoolFolder, { signal }) };
}

function write(
  state: StateFolder,
  { table, unproven }: ContentRecovery,
  head: CatalogHead,
  onEvent: EventListener | undefined,
): void {
  const generation: NewGeneration = state.newGeneration(head.run);
  try {
    // No entry: nothing tells which files are unchanged. So there is no need of the manifest's copy either.
    new EntryBlockWriter(generation.entriesPath).finish();
    writeFileSync(generation.manifestPath, '', { mode: 0o600 });
    writeObjectsFile(generation.objectsPath, table, 0, { keepLive: true, unproven });
    writeHead(generation.headPath, head);
    for (const message of state.adopt(generation).warnings)
      onEvent?.({ type: 'log', level: 'warning', message });
  } catch (error) {
    state.remove(generation);
    throw error;
  }
}
