import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Overwrite } from '#src/restore/options.js';
import { restore } from '#src/restore/restore.js';
import { BackupMachine, type RunResult } from '../../kit/backup-machine.js';
import { GeneratedTree, generatedEdit, generatedNode } from '../../kit/generated-tree.js';
import { asRoot } from '../../kit/programs.js';
import { treeFacts } from '../../kit/tree-facts.js';

const BLOCK = 4096;

/** Restores a run to a folder of its own, and gives what then stands in the tree's place. */
async function restored(
  machine: BackupMachine,
  { summary }: RunResult,
  name: string,
  overwrite: Overwrite = 'if-changed',
): Promise<string> {
  const target = join(machine.folder, name);
  const result = await restore({
    store: machine.store,
    run: summary.manifest ?? { key: '', version: '' },
    target,
    spoolFolder: machine.folder,
    numericOwners: true,
    overwrite,
  });
  // Who is not root cannot give the folders above back to root, which is a note.
  expect(result).toMatchObject({ failed: 0, problemCounts: { failure: 0 } });
  return join(target, machine.tree);
}

describe('there and back', () => {
  const user = asRoot ? 'root' : 'without root: own files only';
  it(`any generated tree, and again after any changes to it (${user})`, async () => {
    const nodes = fc.array(generatedNode(BLOCK), { maxLength: 25 });
    const edits = fc.array(generatedEdit(BLOCK), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        nodes,
        edits,
        nodes,
        fc.constantFrom(0, 2000),
        async (first, changes, more, bundleBelow) => {
          const machine = new BackupMachine();
          machine.settings = {
            ...machine.settings,
            content: { ...machine.settings.content, blockSize: BLOCK, bundleBelow },
          };
          const tree = new GeneratedTree(machine.tree);
          tree.plant(first);
          const run = await machine.archive();
          expect(treeFacts(await restored(machine, run, 'first'))).toEqual(treeFacts(machine.tree));

          for (const change of changes) tree.edit(change);
          tree.plant(more);
          // The same tree as a run without any memory sees it: what an unchanged file keeps is what it has.
          const next = await machine.archive();
          expect(treeFacts(await restored(machine, next, 'second'))).toEqual(treeFacts(machine.tree));
          // Over what the first left: what has gone from the tree stays, all else is as in the tree. What was a
          // folder and is none now, or the other way round, is not restored over, so that such trees are left out.
          const wanted = treeFacts(machine.tree);
          const before = treeFacts(join(machine.folder, 'first', machine.tree));
          if ([...wanted].some(([path, { kind }]) => (before.get(path)?.kind ?? kind) !== kind)) return;
          const facts = treeFacts(await restored(machine, next, 'first', 'always'));
          for (const [path, fact] of wanted)
            expect(facts.get(path)).toEqual(
              fact.kind === 'd' ? fact : { ...fact, sameAs: expect.any(String) },
            );
        },
      ),
      { numRuns: Number(process.env['ROUNDTRIP_TREES'] ?? 20) },
    );
  }, 600_000);
});
