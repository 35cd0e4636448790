import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const SERVERS = join(import.meta.dirname, 'servers');

/**
 * Says at the end what this machine did not test, so that a green run is not taken for more than it is: tests that
 * were skipped for want of root, a program or a server, and the suites against real servers where they were not run.
 */
export class LoudSkips implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => `${module.relativeModuleId}: ${test.fullName}`),
    );
    const notRun = modules.some((module) => module.moduleId.startsWith(SERVERS)) ? [] : serverSuites();
    print(`SKIPPED here, so not tested: ${skipped.length} tests`, skipped);
    print('NOT RUN: the suites against real servers (npm run test:servers, as root)', notRun);
  }
}

function serverSuites(): string[] {
  return readdirSync(SERVERS)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/servers/${name}`);
}

function print(title: string, lines: readonly string[]): void {
  if (lines.length > 0)
    process.stdout.write(`\n *** ${title}\n${lines.map((line) => `     ${line}\n`).join('')}`);
}
