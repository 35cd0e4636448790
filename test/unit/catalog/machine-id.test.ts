import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { machineId } from '#src/catalog/machine-id.js';
import { temporaryFolder } from '../../kit/temporary.js';

describe("a machine's id, kept where the system has none", () => {
  it('stays the same, and is never replaced because it could not be read', () => {
    const folder = temporaryFolder();
    const nowhere = join(folder, 'none');
    const first = machineId(folder, nowhere);
    expect(machineId(folder, nowhere)).toBe(first);
    expect(readFileSync(join(folder, 'machine-id'), 'utf8')).toMatch(/^[0-9a-f]{32}\n$/);
    const other = temporaryFolder();
    mkdirSync(join(other, 'machine-id'));
    expect(() => machineId(other, nowhere)).toThrow(expect.objectContaining({ code: 'SYSTEM' }));
    expect(statSync(join(other, 'machine-id')).isDirectory()).toBe(true);
  });
});
