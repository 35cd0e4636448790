import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundledTwice, KilledMachine, moments } from '../../kit/killed-machine.js';
import { treeFacts } from '../../kit/tree-facts.js';

describe('SIGKILL', () => {
  it('at 30 moments: the next run works, sends nothing again that was confirmed, and all comes back', async () => {
    const machine = new KilledMachine({ share: 'no' });
    for (const [index, moment] of moments(30, 12).entries()) {
      // Sometimes killed twice over the same work, sometimes right after a run that went through.
      if (index % 3 !== 2 || moment.type === 'stored') machine.change();
      await machine.run(moment);
      if (index % 6 === 5) {
        await machine.run();
        await machine.checkStore();
      }
    }
    await machine.run();
    await machine.checkStore();
    const { backup, tree } = machine;
    const ended = await machine.command(['restore', '--target', backup.at('target')]);
    expect(ended.code).toBe(0);
    expect(treeFacts(join(backup.at('target'), tree))).toEqual(treeFacts(tree));
    // Nothing of the killed runs is left beside the catalog: no spool, no journal, no half generation.
    const own = readdirSync(backup.state)
      .map((name) => join(backup.state, name))
      .find((path) => existsSync(join(path, 'current')));
    const current = readFileSync(join(own ?? '', 'current'), 'utf8').trim();
    expect(
      readdirSync(own ?? '')
        .filter((name) => name !== 'lock')
        .sort(),
    ).toEqual([current, 'current'].sort());
  }, 300_000);

  it('with bundles: no content of a confirmed bundle is sent in another', async () => {
    const machine = new KilledMachine({ share: 'no', bundleBelow: 10_000 });
    for (const [index, moment] of moments(12, 4).entries()) {
      if (index % 3 !== 2 || moment.type === 'stored') machine.change();
      await machine.run(moment);
    }
    await machine.run();
    await machine.checkStore();
    const { backup, tree, confirmed } = machine;
    expect([...confirmed].filter((key) => key.startsWith('bundles/')).length).toBeGreaterThan(3);
    expect(bundledTwice(backup.store, confirmed)).toEqual([]);
    expect(await machine.command(['restore', '--target', backup.at('target')])).toMatchObject({ code: 0 });
    expect(treeFacts(join(backup.at('target'), tree))).toEqual(treeFacts(tree));
  }, 300_000);
});
