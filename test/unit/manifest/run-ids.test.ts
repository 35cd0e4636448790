import { newRunId, parseManifestKey, manifestKey } from '#src/manifest/keys.js';
import { describe, expect, it } from 'vitest';

const START = Date.UTC(2026, 10, 24, 16, 30, 30);
const MACHINE = 'a machine';

describe('run ids', () => {
  it('sort by the second, and within one behind the last of this machine', () => {
    let last = `${newRunId(START, MACHINE).slice(0, -4)}00f0`;
    for (let run = 0; run < 200; run++) {
      const next = newRunId(START, MACHINE, last);
      expect(next > last).toBe(true);
      last = next;
    }
    expect(newRunId(START + 1000, MACHINE, last) > last).toBe(true);
  });

  it('go on in the next second where this one has had its last', () => {
    const first = newRunId(START, MACHINE);
    const last = `${first.slice(0, -4)}ffff`;
    const next = newRunId(START, MACHINE, last);
    expect(next > last).toBe(true);
    expect(parseManifestKey(manifestKey('name', next, 'complete'))?.time).toBe(START + 1000);
  });

  it('owe nothing to the last run of another machine, or of another second', () => {
    for (const last of [newRunId(START, 'another'), newRunId(START + 60_000, MACHINE)]) {
      expect(newRunId(START, MACHINE, last).slice(0, -4)).toBe(newRunId(START, MACHINE).slice(0, -4));
    }
  });
});
