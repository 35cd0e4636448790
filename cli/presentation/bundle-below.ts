import {
  type ForeseenBundleBelow,
  foreseeBundleBelow,
  type ObjectStore,
  type Settings,
  type SettingsInForce,
} from '../../src/index.js';

type Setting = SettingsInForce[string][string];

/** `[content] bundle_below` as the next run will take it, and why, in the form of a setting. */
export async function bundleBelowSetting(
  settings: Settings,
  set: Setting | undefined,
  store?: ObjectStore,
): Promise<Setting> {
  const foreseen = await foreseeBundleBelow(settings, store);
  if (foreseen.reason === 'set' && set !== undefined) return set;
  return { value: foreseen.value ?? null, source: `default: ${whyOf(foreseen, settings.backupName)}` };
}

function whyOf({ reason, run = '' }: ForeseenBundleBelow, name: string): string {
  switch (reason) {
    case 'recorded':
      return `as the catalog of run ${run} records it`;
    case 'not-recorded':
      return `none, as up to run ${run}, whose catalog does not record it`;
    case 'no-bundles':
      return `none, since there is no catalog and the store has runs of ${name} and no bundles`;
    case 'usual':
      return `there is no catalog, and the store has bundles or no run of ${name}`;
    case 'several':
      return 'what the catalog of the store records, of which this machine has several (--connect says which counts)';
    case 'undecided':
      return `there is no catalog: 0 where the store has runs of ${name} and no bundles, else 1 MiB (--connect says which)`;
    case 'set':
      return 'set';
  }
}
