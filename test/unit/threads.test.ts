import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ENDING = join(import.meta.dirname, '../kit/ending-threads.mjs');

describe('a thread', () => {
  it('can be ended at any moment, also while it loads what it needs', () => {
    const modules = [
      import.meta.resolve('#src/threads.js'),
      import.meta.resolve('#src/files/stat-worker.js'),
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, [ENDING, ...modules], {
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'all ended', stderr: '' });
  }, 120_000);

  it('holds the process until it has ended, even if its owner lets go of it meanwhile', () => {
    const script = `
      import { endThread, startThread } from '${import.meta.resolve('#src/threads.js')}';
      const thread = startThread(new URL('${import.meta.resolve('#src/files/stat-worker.js')}'), undefined, 2);
      const ending = endThread(thread);
      thread.unref();
      await ending;
      process.stdout.write('ended');
    `;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'ended' });
  });
});
