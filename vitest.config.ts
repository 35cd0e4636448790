import { defineConfig } from 'vitest/config';
import { LoudSkips } from './test/loud-skips.js';

/** A file to write the results to as JSON, for `.ci/run` to count. */
const results = process.env['TEST_RESULTS'];

// Tests import '#src/…' and '#cli/…', which package.json maps to the built output: what is tested is what ships.
export default defineConfig({
  test: {
    reporters: [
      new LoudSkips(),
      'default',
      ...(results === undefined
        ? []
        : [['json', { outputFile: results }] as ['json', { outputFile: string }]]),
    ],
    // For the clients that tests make themselves; what the library makes is silent by itself.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
    projects: [
      {
        extends: true,
        // Against hanging only: on a machine that is busy otherwise, what takes 2 s has taken 30.
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['test/servers/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // Each starts servers of its own, on a machine that may have two processors.
          fileParallelism: false,
        },
      },
    ],
  },
});
