import { afterAll, beforeAll, describe } from 'vitest';
import { Scene } from './scene.js';

/** All that restoring is asked for without threads, once more with threads that write the small files. */
beforeAll(() => {
  Scene.writers = 2;
});
afterAll(() => {
  Scene.writers = undefined;
});

describe('with threads', async () => {
  describe('hostile', async () => void (await import('./hostile.test.js')));
  describe('hostile target', async () => void (await import('./hostile-target.test.js')));
  describe('restore', async () => void (await import('./restore.test.js')));
  describe('resume', async () => void (await import('./resume.test.js')));
  describe('round trip', async () => void (await import('./round-trip.test.js')));
});
