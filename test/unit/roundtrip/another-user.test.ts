import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventsIn, type RunOptions, runProgram, summaryIn } from '../../kit/built-program.js';
import { ConfFolder } from '../../kit/conf-folder.js';
import { asRoot, findProgram } from '../../kit/programs.js';
import { treeFacts } from '../../kit/tree-facts.js';

const NOBODY = 65_534;

/** Who is not root: nobody, where root runs the tests, else whoever does. */
const AS_USER = asRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];

/** nobody has to get at the built program, which in a clone below /root they cannot. */
const canRun =
  !asRoot ||
  (findProgram('setpriv') !== undefined &&
    (await runProgram(['--version'], { wrapper: AS_USER })).code === 0);

describe('a user who is not root', () => {
  it.skipIf(!canRun)(
    'gets a partial run where files cannot be read, with everything else in it, and a complete one later',
    async () => {
      const backup = ConfFolder.make();
      const tree = backup.at('tree');
      const own = (path: string): string => {
        if (asRoot) lchownSync(path, NOBODY, NOBODY);
        return path;
      };
      const folder = (...names: string[]): string => {
        mkdirSync(join(tree, ...names));
        return own(join(tree, ...names));
      };
      const file = (content: string, ...names: string[]): string => {
        writeFileSync(join(tree, ...names), content);
        return own(join(tree, ...names));
      };
      folder();
      for (const name of ['a', 'b']) folder(name);
      for (let index = 0; index < 20; index++)
        file(`content ${index}`, index % 2 ? 'a' : 'b', `file ${index}`);
      symlinkSync('file 1', join(tree, 'a', 'link'));
      own(join(tree, 'a', 'link'));
      const unreadable = [
        file('secret', 'a', 'no rights'),
        file('also secret', 'b', 'write only'),
        folder('locked'),
      ];
      const inside = file('inside', 'locked', 'inside');
      chmodSync(unreadable[0] ?? '', 0o000);
      chmodSync(unreadable[1] ?? '', 0o200);
      chmodSync(unreadable[2] ?? '', 0o000);
      for (const path of [backup.state, backup.store, backup.at('target')]) {
        mkdirSync(path);
        if (asRoot) chownSync(path, NOBODY, NOBODY);
      }
      backup.conf(undefined, '[content]\nbundle_below = 0\n');
      // find cannot enter the locked folder; the last path is named all the same.
      backup.picker('tree', `find '${tree}' -print0 2>/dev/null; printf '%s\\0' '${inside}'`);
      const options: RunOptions = { wrapper: AS_USER, cwd: '/' };

      const first = await runProgram(['archive', '--conf-dir', backup.confDir, '--json'], options);
      expect(first.code).toBe(3);
      expect(summaryIn(first.stdout)).toMatchObject({
        outcome: 'partial',
        counts: { f: 20, d: expect.any(Number), l: 1 },
      });
      const failures = eventsIn(first.stdout, 'problem').filter(({ severity }) => severity === 'failure');
      expect(failures.map(({ path }) => path).sort()).toEqual([unreadable[0], unreadable[1], inside].sort());
      expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['unreadable']));

      for (const path of unreadable) chmodSync(path, 0o755);
      const second = await runProgram(['archive', '--conf-dir', backup.confDir, '--json'], options);
      expect(second).toMatchObject({ code: 0 });
      // Just those that could not be read before; a change of mode is one of metadata for the rest of what is known.
      expect(summaryIn(second.stdout)).toMatchObject({
        outcome: 'complete',
        stored: { objects: 3 },
        counts: { f: 23 },
      });

      const target = backup.at('target');
      const restore = ['restore', '--conf-dir', backup.confDir, '--target', target, '--include', tree];
      expect(await runProgram(restore, options)).toMatchObject({ code: 0 });
      expect(treeFacts(join(target, tree))).toEqual(treeFacts(tree));
    },
  );
});
