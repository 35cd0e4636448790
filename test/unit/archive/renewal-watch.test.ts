import { describe, expect, it } from 'vitest';
import { renew } from '#src/audit/renew.js';
import type { RenewOptions } from '#src/audit/renew-options.js';
import type { Settings } from '#src/config/settings.js';
import type { ObjectStore } from '#src/store/port.js';
import { StoreError } from '#src/store/store-error.js';
import { BackupMachine } from '../../kit/backup-machine.js';
import { changed } from '../../kit/store-wrappers.js';

const DAY_MS = 86_400_000;
/** A Monday, so that weeks begin where the test does. */
const START = Date.UTC(2026, 10, 23, 2);

const BUCKET: Settings['destination'] = {
  kind: 's3',
  s3: {
    bucket: 'b',
    prefix: '',
    forcePathStyle: false,
    requireObjectLock: true,
    aws: {},
    cloudFormation: { export: '' },
  },
};

interface Night {
  night: number;
  warnings: string[];
  /** Requests for locks. */
  asked: string[];
  requests: number;
}

interface Nights {
  nights: number;
  /** In which of them the machine backs up. Default: in some, as each takes a while. */
  runsIn?: (night: number) => boolean;
  days?: number;
  weekly?: number;
  destination?: Settings['destination'];
  /** How somebody else renews, and in which nights; undefined: nobody does. */
  renewal?: Partial<RenewOptions> | undefined;
  renewedIn?: (night: number) => boolean;
  /** What the store becomes for the machine. */
  seen?: (store: ObjectStore) => ObjectStore;
}

const SOME = new Set([0, 1, 4, 10, 11, 12, 21, 22, 23, 28, 29]);

/** So many nights of a machine on which nothing changes. */
async function nightsOf(options: Nights): Promise<Night[]> {
  const machine = new BackupMachine();
  const { days = 14, weekly, destination = BUCKET, renewal, renewedIn = () => true } = options;
  const { runsIn = (night) => SOME.has(night) } = options;
  machine.now = START;
  machine.settings = {
    ...machine.settings,
    destination,
    content: { ...machine.settings.content, daysRetained: days },
    classes: weekly === undefined ? {} : { weekly },
  };
  machine.write('file', 'content');
  if (options.seen !== undefined) machine.store = options.seen(machine.memory);
  const found: Night[] = [];
  for (let night = 0; night < options.nights; night++) {
    machine.now = START + night * DAY_MS;
    if (runsIn(night)) {
      const { warnings, asked } = await machine.archive();
      const said = warnings.filter((warning) => warning.includes('renew'));
      const locks = asked.filter(({ kind }) => kind === 'get-retention').map(({ key }) => key);
      found.push({ night, warnings: said, asked: locks, requests: asked.length });
    }
    machine.now += DAY_MS / 24;
    if (renewal !== undefined && renewedIn(night))
      await renew({ store: machine.memory, spoolFolder: machine.folder, daysRetained: days, ...renewal });
    machine.memory.passNight({ expireAfterDays: days, noncurrentDays: 1 });
  }
  return found;
}

const warned = (nights: readonly Night[]): number[] =>
  nights.filter(({ warnings }) => warnings.length > 0).map(({ night }) => night);
const asking = (nights: readonly Night[]): number[] =>
  nights.filter(({ asked }) => asked.length > 0).map(({ night }) => night);

describe('whether anybody renews', () => {
  it('is asked once in eleven nights, and warned of where nobody does', async () => {
    const nights = await nightsOf({ nights: 24, runsIn: () => true });
    expect(asking(nights)).toEqual([11, 22]);
    expect(warned(nights)).toEqual([11, 22]);
    expect(nights[11]?.asked).toEqual([expect.stringMatching(/^manifests\/test-backup\/20261123T/)]);
    expect(nights[11]?.warnings).toEqual([
      expect.stringMatching(
        /^nobody seems to renew the backups of test-backup: .*, stored 11 days ago, .* 2026-12-07 .*write-config --renew-timer/,
      ),
    ]);
  });

  it('is nothing to warn of where somebody does, and costs no other request', async () => {
    const watching = await nightsOf({ nights: 13, runsIn: () => true, renewal: {} });
    expect(warned(watching)).toEqual([]);
    expect(asking(watching)).toEqual([11]);
    // Fence, a share of asking or none, and the manifest.
    const without = watching.filter(({ night }) => night % 11 !== 0);
    expect(Math.max(...without.map(({ requests }) => requests))).toBe(3);
  });

  it.each<[string, Partial<Nights>]>([
    ['for a week only', { renewal: { days: 7 } }],
    ['for half as many days', { renewal: { daysRetained: 7 } }],
    ['weekly backups too', { weekly: 56, renewal: { classes: { weekly: 56 } } }],
    ['what stays for long', { days: 90, nights: 30, renewal: {} }],
    ['every third night', { renewal: {}, renewedIn: (night) => night % 3 === 0 }],
    ['from the tenth night on', { renewal: {}, renewedIn: (night) => night >= 9 }],
    ['what stays for four days', { days: 4, runsIn: (night) => night < 8, renewal: {} }],
  ])('is nothing to warn of where somebody renews %s', async (_, more) => {
    const nights = await nightsOf({ nights: 24, ...more });
    expect(warned(nights)).toEqual([]);
    expect(asking(nights).length).toBeGreaterThan(0);
  });

  it('is warned of when somebody no longer does', async () => {
    const nights = await nightsOf({ nights: 24, renewal: {}, renewedIn: (night) => night < 11 });
    expect(warned(nights)).toEqual([22]);
  });

  it('is warned of with weekly backups too, of which the first is locked for longer', async () => {
    expect(warned(await nightsOf({ nights: 14, weekly: 56 }))).toEqual([12]);
  });

  it('is nobody’s business with a directory, nor where a lock may not be asked for', async () => {
    const directory = await nightsOf({ nights: 13, destination: { kind: 'directory', path: '/nowhere' } });
    expect([warned(directory), asking(directory)]).toEqual([[], []]);
    const refused = await nightsOf({
      nights: 13,
      seen: (store) =>
        changed(store, {
          getRetention: async () => {
            throw new StoreError('ACCESS_DENIED', 'access denied');
          },
        }),
    });
    expect([warned(refused), asking(refused)]).toEqual([[], [11]]);
  });

  it('is warned of where what was watched is gone, as the machine was off for long', async () => {
    const runsIn = (night: number): boolean => night === 0 || night === 10 || night === 23;
    expect(warned(await nightsOf({ nights: 24, runsIn }))).toEqual([23]);
  });

  it('is not judged by a lock that was given for more days than are retained now', async () => {
    const machine = new BackupMachine();
    machine.write('file', 'content');
    const retain = (daysRetained: number): void => {
      const { content } = machine.settings;
      machine.settings = { ...machine.settings, destination: BUCKET, content: { ...content, daysRetained } };
    };
    machine.now = START;
    retain(60);
    await machine.archive();
    retain(14);
    machine.now += 28 * DAY_MS;
    expect((await machine.archive()).asked.filter(({ kind }) => kind === 'get-retention')).toEqual([]);
  });
});
