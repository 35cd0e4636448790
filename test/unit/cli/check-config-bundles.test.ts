import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Machine, run } from './command.js';

it('check-config shows which bundle_below the next run will take, and why', async () => {
  const machine = new Machine();
  const withoutSetting = '[directory]\npath = ../store\n[state]\npath = ../state\n';
  machine.writeConf(withoutSetting);
  machine.pickData();
  writeFileSync(join(machine.data, 'small'), 'a small file');
  const shown = async (...flags: string[]) => {
    const { code, stdout } = await run(['check-config', '--json', '--conf-dir', machine.confDir, ...flags]);
    expect(code).toBe(0);
    const { content } = JSON.parse(stdout) as { content: Record<string, { value: unknown; source: string }> };
    return content['bundle_below'];
  };
  expect(await shown()).toEqual({
    value: null,
    source: expect.stringMatching(/no catalog: 0 where .*, else 1 MiB \(--connect/),
  });
  expect(await shown('--connect')).toEqual({
    value: 1_048_576,
    source: expect.stringContaining('no catalog'),
  });

  machine.writeConf(`${withoutSetting}[content]\nbundle_below = 0\n`);
  expect(await shown()).toEqual({ value: 0, source: 'conf:6' });
  expect(await machine.archive()).toMatchObject({ code: 0 });
  machine.writeConf(withoutSetting);
  const recorded = {
    value: 0,
    source: expect.stringMatching(/^default: as the catalog of run \d{8}T.* records it$/),
  };
  expect(await shown()).toEqual(recorded);
  expect(await shown('--connect')).toEqual(recorded);

  rmSync(join(machine.folder, 'state'), { recursive: true });
  expect(await shown('--connect')).toEqual({ value: 0, source: expect.stringContaining('no bundles') });
});
