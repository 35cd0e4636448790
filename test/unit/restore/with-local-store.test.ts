import { afterAll, beforeAll, describe } from 'vitest';
import { Scene } from './scene.js';

/** All that restoring is asked for, once more with threads that read the store's directory by themselves. */
beforeAll(() => {
  Scene.writers = 2;
  Scene.isLocal = true;
});
afterAll(() => {
  Scene.writers = undefined;
  Scene.isLocal = false;
});

describe('with threads that read the store', async () => {
  describe('hostile', async () => void (await import('./hostile.test.js')));
  describe('hostile target', async () => void (await import('./hostile-target.test.js')));
  describe('restore', async () => void (await import('./restore.test.js')));
  describe('resume', async () => void (await import('./resume.test.js')));
});
