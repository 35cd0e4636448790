import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NameService } from '#src/files/name-service.js';
import { serviceWarnings } from '#src/system/service-access.js';
import { temporaryFolder } from '../../kit/temporary.js';

describe('what the service’s user can get at', () => {
  const warnings = async (program: string[], directory?: string): Promise<string[]> =>
    await serviceWarnings(program, directory, new NameService());

  it('a program is to be in folders that everybody may search, and readable', async () => {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    const home = join(folder, 'home');
    mkdirSync(join(home, 'bin'), { recursive: true });
    const program = join(home, 'bin', 'main.js');
    writeFileSync(program, '', { mode: 0o644 });
    expect(await warnings(['/bin/sh', program, 'archive'])).toEqual([]);
    chmodSync(home, 0o700);
    expect(await warnings(['/bin/sh', program])).toEqual([
      expect.stringContaining(`cannot start ${program}, as ${home} is closed to others`),
    ]);
    chmodSync(home, 0o711);
    chmodSync(program, 0o600);
    expect(await warnings([program])).toEqual([expect.stringContaining(`as ${program} is closed`)]);
  });

  it('a directory that is not there is made its own, one that is there is to be its own', async () => {
    const folder = temporaryFolder();
    expect(await warnings([], join(folder, 'new'))).toEqual([]);
    expect(await warnings([], folder)).toEqual([expect.stringContaining(`chown -R backup: ${folder}`)]);
  });
});
