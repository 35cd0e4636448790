import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ConfFolder } from '../../kit/conf-folder.js';
import { shellBlocks, TypingShell } from '../../kit/typed-lines.js';

const NAME = 'web1-backup';

it('docs/damage.md, "In a directory": what it says to type heals objects and bundles', async () => {
  const backup = ConfFolder.make();
  backup.conf(undefined, `[content]\nbundle_below = 1 KiB\n`);
  const data = backup.at('data');
  mkdirSync(data);
  for (let index = 0; index < 4; index++) {
    writeFileSync(join(data, `object${index}`), randomBytes(3000));
    writeFileSync(join(data, `member${index}`), `member ${index}`);
  }
  backup.picker('data', `find '${data}' -print0`);
  const shell = new TypingShell(backup.folder, { CONF: backup.confDir, NAME });
  const blocks = shellBlocks('damage.md', 'In a directory');
  expect(blocks).toHaveLength(2);
  const [setAside = '', archiveAndVerify = ''] = blocks;
  expect(await shell.type('s3-sysbackup archive --conf-dir "$CONF" --name "$NAME"')).toMatchObject({
    code: 0,
  });
  for (const folder of ['content', 'bundles']) {
    const [file = ''] = readdirSync(join(backup.store, folder));
    const path = join(backup.store, folder, file);
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(50) ^ 1, 50);
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
  }
  // Without it the next run is no better.
  expect((await shell.type(archiveAndVerify)).code).toBe(1);
  const moved = await shell.type(setAside);
  expect(moved.code).toBe(1);
  expect(moved.output).toContain('2 objects set aside');
  const healed = await shell.type(archiveAndVerify);
  expect(healed.output).toContain('nothing is wrong');
  expect(healed.code).toBe(0);
  expect((await shell.type('s3-sysbackup verify --conf-dir "$CONF" --read-data')).code).toBe(0);
}, 60_000);
