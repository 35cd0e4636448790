import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { own, Scene } from './scene.js';

/** A small file system in memory, where this machine lets tests have one. */
function mount(path: string): boolean {
  mkdirSync(path, { recursive: true });
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path]).status === 0;
}
function unmount(path: string): void {
  spawnSync('umount', [path]);
}

const probe = await Scene.make();
const canMount = mount(probe.target);
unmount(probe.target);
await probe.remove();

describe.each([0, 2])('a target without room for all, with %d threads', (writers) => {
  let scene: Scene;
  beforeAll(() => {
    Scene.writers = writers;
  });
  afterAll(() => {
    Scene.writers = undefined;
  });
  beforeEach(async () => {
    scene = await Scene.make();
    mount(scene.target);
  });
  afterEach(async () => {
    unmount(scene.target);
    await scene.remove();
  });

  it.skipIf(!canMount)('ends the restore, and leaves whole files only (root, mount)', async () => {
    const lines = Array.from({ length: 200 }, (_, index) =>
      scene.file(`/f${String(index).padStart(3, '0')}`, `${index} `.repeat(3000), own),
    );
    await expect(scene.restore(lines)).rejects.toMatchObject({
      code: 'SYSTEM',
      message: expect.stringContaining('no room is left'),
    });
    const left = readdirSync(scene.target);
    expect(left.filter((name) => !/^f\d{3}$/.test(name))).toEqual([]);
    expect(left.length).toBeGreaterThan(5);
    expect(left.length).toBeLessThan(40);
    // What is there is right: it needs nothing but its metadata.
    const there = lines.filter(({ path = '' }) => left.includes(path.slice(1)));
    const summary = await scene.restore(there, { checksum: true });
    expect(summary).toMatchObject({ failed: 0, done: { keep: left.length } });
  });
});
