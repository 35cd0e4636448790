import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Ended, jsonLines, Machine, run } from './command.js';
import { atTerminal, hasScript } from './terminal.js';

async function backedUp(): Promise<Machine> {
  const machine = new Machine('[content]\nbundle_below = 4 KiB\n');
  machine.pickData();
  for (let index = 0; index < 5; index++)
    writeFileSync(join(machine.data, `small ${index}`), `content ${index}`);
  writeFileSync(join(machine.data, 'large'), 'large '.repeat(2000));
  expect((await machine.archive()).code).toBe(0);
  return machine;
}

function statePath(machine: Machine): string {
  return join(machine.folder, 'state');
}

async function rebuild(machine: Machine, ...args: string[]): Promise<Ended> {
  return await run(['rebuild-catalog', '--conf-dir', machine.confDir, ...args]);
}

async function archived(machine: Machine): Promise<Record<string, unknown>> {
  return jsonLines((await machine.archive('--json')).stdout).at(-1) ?? {};
}

describe('rebuild-catalog', () => {
  it('brings a lost state directory back, so that nothing is stored again', async () => {
    const machine = await backedUp();
    rmSync(statePath(machine), { recursive: true });
    const { code, stdout, stderr } = await rebuild(machine);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('read back from run');
    expect(stdout).toContain('1 object, 1 bundle with 5 contents');
    expect(await archived(machine)).toMatchObject({ stored: { objects: 0 }, renewed: 0, read: { files: 6 } });
    expect(readdirSync(join(machine.store, 'bundles'))).toHaveLength(1);
  });

  it('prints one JSON document', async () => {
    const machine = await backedUp();
    rmSync(statePath(machine), { recursive: true });
    const { code, stdout } = await rebuild(machine, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: expect.stringMatching(/Z-/),
      objects: 1,
      bundles: 1,
      members: 5,
      missing: 0,
      refused: 0,
      requests: { head: 2, get: 2 },
    });
  });

  it('does not replace a whole catalog where nobody can be asked, and says how to', async () => {
    const machine = await backedUp();
    const refused = await rebuild(machine);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('there is a whole catalog');
    expect(refused.stderr).toContain('--yes');
    expect((await rebuild(machine, '--yes')).code).toBe(0);
  });

  it.skipIf(!hasScript)('asks on a terminal (needs script)', async () => {
    const machine = await backedUp();
    for (const [type, code] of [
      ['n\n', 1],
      ['y\n', 0],
    ] as const) {
      const answers = [{ to: 'Replace it? [y/N]', type }];
      const shown = await atTerminal(['rebuild-catalog', '--conf-dir', machine.confDir], { answers });
      expect(shown.code).toBe(code);
      expect(shown.screen).toContain('There is a whole catalog');
    }
  });

  it('exits with 3 where something is damaged or gone, and says what becomes of it', async () => {
    const machine = await backedUp();
    rmSync(statePath(machine), { recursive: true });
    const [name = ''] = readdirSync(join(machine.store, 'bundles'));
    const path = join(machine.store, 'bundles', name);
    const bytes = readFileSync(path);
    bytes[520] = 255;
    rmSync(path);
    writeFileSync(path, bytes);
    const { code, stdout, stderr } = await rebuild(machine);
    expect(code).toBe(3);
    expect(stderr).toContain('other bytes than were stored');
    expect(stdout).toContain('1 not as they should be');
  });

  it('exits with 10 where there is nothing to read back', async () => {
    const machine = new Machine();
    expect((await rebuild(machine)).code).toBe(10);
    const full = await backedUp();
    expect((await rebuild(full, '20200101T000000Z-00000000')).code).toBe(10);
  });

  it('refuses what makes no sense for a directory', async () => {
    const machine = await backedUp();
    expect((await rebuild(machine, '--profile', 'restore')).code).toBe(2);
    expect((await rebuild(machine, '--role-arn', 'arn:aws:iam::1:role/r')).code).toBe(2);
  });
});
