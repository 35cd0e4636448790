import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { archive, loadSettings, type RequestCounts, verify } from '#src/index.js';
import { quoted } from '../measure/command.js';
import type { Tree } from '../trees/tree.js';
import { SimulatedStore } from './simulated-store.js';

const DAY_MS = 86_400_000;

export interface Nights {
  /** Of the first run, and of all that followed. */
  first: RequestCounts;
  following: RequestCounts;
  nights: number;
}

/**
 * A first run, and one in each of the following nights over a tree in which nothing changes, by the library itself with
 * a store whose clock is moved on. Lapsed objects go each night, and at the end the last backup must be whole and
 * locked as promised: requests that were saved at the backup's cost would not count.
 */
export async function simulateNights(
  tree: Tree,
  options: { folder: string; nights: number; content: readonly string[]; tell: (message: string) => void },
): Promise<Nights> {
  const { folder, nights, tell } = options;
  const confDir = join(folder, 'conf');
  const settings = await settingsFor(tree, { confDir, folder, content: options.content });
  // After the files were written: their times must not lie in the future.
  const store = new SimulatedStore(Date.now() + 3_600_000);
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const uid = process.getuid?.() ?? 0;
  const night = async (): Promise<RequestCounts> => {
    const { outcome, counts } = await archive({ settings, store, env, uid, host: 'bench', tool: 'bench' });
    if (outcome !== 'complete' || counts.f !== tree.files)
      throw new Error(`a simulated run is ${outcome} with ${counts.f} files of ${tree.files}`);
    return store.takeRequests();
  };
  const first = await night();
  const following: RequestCounts = {};
  for (let index = 1; index <= nights; index++) {
    store.time += DAY_MS;
    store.removeLapsed();
    for (const [kind, count] of Object.entries(await night()) as [keyof RequestCounts, number][])
      following[kind] = (following[kind] ?? 0) + count;
    if (index % 30 === 0) tell(`night ${index} of ${nights}`);
  }
  const { findings } = await verify({ store, spoolFolder: folder });
  if (findings.length > 0)
    throw new Error(`after ${nights} nights the backup is not whole: ${JSON.stringify(findings[0])}`);
  return { first, following, nights };
}

async function settingsFor(
  tree: Tree,
  { confDir, folder, content }: { confDir: string; folder: string; content: readonly string[] },
) {
  for (const name of ['pickers.d', 'snapshots.d']) mkdirSync(join(confDir, name), { recursive: true });
  writeFileSync(
    join(confDir, 'conf'),
    `${['[directory]', 'path = unused', '[content]', ...content, '[state]', `path = ${join(folder, 'state')}`].join('\n')}\n`,
  );
  writeFileSync(join(confDir, 'pickers.d', 'tree'), `#!/bin/sh\nexec find ${quoted(tree.path)} -print0\n`, {
    mode: 0o755,
  });
  const user = { uid: process.getuid?.() ?? 0, home: folder };
  return (await loadSettings({ confDir, hostname: 'bench', env: {}, user })).settings;
}
