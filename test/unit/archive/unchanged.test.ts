import { existsSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackupMachine, pastTheTick, type RunResult } from '../../kit/backup-machine.js';
import { shift, ShiftingTree } from '../../kit/shifting-tree.js';
import { temporaryFolder } from '../../kit/temporary.js';

/** What a picker prints; `$TREE` is the tree, `$EVER` a file with each path there ever was. */
const PICKERS = {
  'all of it': 'find "$TREE" -print0',
  'all of it the other way round': 'find "$TREE" -print0 | tac -s ""',
  'files only': 'find "$TREE" ! -type d -print0',
  'what is in a folder before the folder': 'find "$TREE" -depth -print0',
  'paths through links': 'find -L "$TREE" -print0 2>/dev/null; find "$TREE" -type l -print0; exit 0',
  'odd ways to write paths': 'find "$TREE"//. -print0',
  'what there ever was': 'cat "$EVER"',
  'everything twice': 'cat "$EVER"; find "$TREE" -print0; cat "$EVER"',
  'next to nothing': 'find "$TREE" -maxdepth 1 -print0',
} as const;
type Picker = keyof typeof PICKERS;

/** A machine whose tree changes, and whose every run is held against one that remembers nothing. */
class Comparison {
  readonly #machine = new BackupMachine();
  readonly #outside = join(this.#machine.folder, 'outside');
  readonly #ever = join(this.#machine.folder, 'ever');
  readonly #everPaths = new Set<string>();
  readonly tree = new ShiftingTree(this.#machine.tree, this.#outside);
  #runs = 0;

  constructor(files: number) {
    const { content } = this.#machine.settings;
    // Small, so that some files are several objects.
    this.#machine.settings = { ...this.#machine.settings, content: { ...content, blockSize: 16 } };
    for (let index = 0; index < files; index++)
      this.#machine.write(`many/${index % 7}/${index}`, `${index % 50}`);
  }

  /** Gives how many files fewer were read than by who remembers nothing. */
  async compare(picker: Picker): Promise<number> {
    const { folder, tree, settings } = this.#machine;
    for (const path of this.tree.paths()) this.#everPaths.add(path);
    writeFileSync(this.#ever, [...this.#everPaths].map((path) => `${path}\0`).join(''));
    this.#machine.picker('tree', `TREE='${tree}' EVER='${this.#ever}'\n${PICKERS[picker]}`);
    await pastTheTick();
    const remembering = await this.#machine.archive();
    const statePath = join(folder, `no-state-${this.#runs++}`);
    const fresh = await this.#machine.archive({ settings: { ...settings, statePath } });
    expect(await this.#seenBy(remembering)).toEqual(await this.#seenBy(fresh));
    return fresh.summary.read.files - remembering.summary.read.files;
  }

  /** Whether runs themselves write there: links lead out of the tree, and a picker may follow them. */
  #isWritten(path = ''): boolean {
    const { folder } = this.#machine;
    return ['state', 'no-state-'].some((name) => path.startsWith(join(folder, name)));
  }

  /** The entries of a run and its problems, but for those of the folders that the runs themselves write to. */
  async #seenBy(run: RunResult): Promise<{ entries: unknown[]; problems: string[] }> {
    const lines = await this.#machine.lines(run.summary);
    const entries = lines.flatMap((line): unknown[] => {
      if (line.typ !== 'd' && line.typ !== 'l' && line.typ !== 'f') return [];
      const isOurs = [this.#machine.tree, this.#outside].some((ours) => (line.path ?? ours).startsWith(ours));
      if (isOurs) return [line];
      return this.#isWritten(line.path) ? [] : [line.path];
    });
    // Only who remembers can tell that a picker printed more the last time.
    const problems = run.problems
      .filter(({ code, path }) => code !== 'picker-shrunk' && !this.#isWritten(path))
      .map(({ code, path }) => `${code} ${path}`);
    return { entries, problems: problems.toSorted() };
  }
}

const pickers = fc.array(fc.constantFrom(...(Object.keys(PICKERS) as Picker[])), {
  minLength: 4,
  maxLength: 4,
});
const shifts = fc.array(shift, { maxLength: 8 });

describe('a tree that is changed for a test', () => {
  const step = { at: 0, to: 0, name: 'link', content: '/' };

  it('has nothing moved into it that is not its own', () => {
    const [root, outside, other] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    const tree = new ShiftingTree(root, outside);
    writeFileSync(join(other, 'file'), 'of somebody else');
    symlinkSync(other, join(root, 'folder'));
    for (const target of [join(other, 'file'), join(root, 'folder/file'), other, '/', root]) {
      symlinkSync(target, join(root, 'a link'));
      tree.shift({ ...step, does: 'replace link by what it leads to' });
      expect(readlinkSync(join(root, 'a link'))).toBe(target);
      tree.shift({ ...step, does: 'remove' });
    }
    expect(readdirSync(other)).toEqual(['file']);
    mkdirSync(join(outside, 'b'));
    symlinkSync(join(outside, 'b'), join(root, 'a link'));
    tree.shift({ ...step, does: 'replace link by what it leads to' });
    expect(readdirSync(root, { withFileTypes: true })[0]?.isDirectory()).toBe(true);
    expect(existsSync(join(outside, 'b'))).toBe(false);
  });

  it.each(['', '/', '..', 'a/../../..', '/etc'])(
    'has no link that leads out of it by the text %j',
    (content) => {
      const root = temporaryFolder();
      new ShiftingTree(root, temporaryFolder()).shift({ ...step, content, does: 'link to nowhere' });
      expect(readdirSync(root)).toEqual(['link']);
      expect(existsSync(join(root, 'link'))).toBe(false);
    },
  );
});

describe('a run that remembers the last', () => {
  it('sees just what one sees that remembers nothing, whatever was changed in between', async () => {
    let unchanged = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(shift, { minLength: 10, maxLength: 40 }),
        shifts,
        shifts,
        shifts,
        fc.oneof(
          pickers,
          fc.constantFrom<Picker>('all of it', 'files only').map((one) => [one, one, one, one]),
        ),
        // More than a block of the manifest, now and then.
        fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(700) }),
        async (first, second, third, fourth, [a, b, c, d], files) => {
          const comparison = new Comparison(files);
          for (const [changes, picker] of [
            [first, a],
            [second, b],
            [third, c],
            [fourth, d],
          ] as const) {
            for (const change of changes) comparison.tree.shift(change);
            unchanged += await comparison.compare(picker ?? 'all of it');
          }
        },
      ),
      { numRuns: Number(process.env['UNCHANGED_TREES'] ?? 40) },
    );
    // Or nothing was put to the test.
    expect(unchanged).toBeGreaterThan(100);
  }, 600_000);
});
