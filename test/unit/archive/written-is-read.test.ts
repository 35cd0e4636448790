import { createReadStream, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { OwnMemory } from '#src/own-memory.js';
import { describe, expect, it } from 'vitest';
import type { ContentTaker } from '#src/archive/content-taker.js';
import { EntryMaker } from '#src/archive/entry-maker.js';
import { EntryOutput, type OutputEntry } from '#src/archive/entry-output.js';
import { headerLine, storeManifest } from '#src/archive/manifest-ends.js';
import { ProblemLog } from '#src/archive/problem-log.js';
import { Tally } from '#src/archive/tally.js';
import { totalsOf } from '#src/archive/totals.js';
import type { Workshop } from '#src/archive/workshop.js';
import { EntryBlockWriter, ONE_OBJECT } from '#src/catalog/entry-blocks.js';
import { KnownEntries } from '#src/catalog/known-entries.js';
import type { Problem } from '#src/events.js';
import { type BytePath, pathFromText } from '#src/files/byte-path.js';
import { FileStat, formatTimeNs, PACKED_STAT_SIZE, parseTimeNs } from '#src/files/stat.js';
import { checkedLine } from '#src/manifest/checked-line.js';
import { fetchManifest } from '#src/manifest/fetch.js';
import { readFooter } from '#src/manifest/footer.js';
import { LineFault } from '#src/manifest/line-fault.js';
import { readLazily, readManifest, readManifestBytes } from '#src/manifest/reader.js';
import { ManifestSpool } from '#src/manifest/spool.js';
import { newRunId } from '#src/manifest/keys.js';
import type { FileSystemEntry, ManifestLine, SnapshotEntry } from '#src/manifest/types.js';
import { LockDates } from '#src/store/lock-dates.js';
import { MemoryStore } from '#src/store/memory.js';
import * as edges from '../../kit/edges.js';
import { temporaryFolder } from '../../kit/temporary.js';
import { file, header } from '../manifest/build-manifest.js';

const MACHINE = 'a machine';
const START = Date.UTC(2026, 10, 20);
const KIND = { d: 0x4000, l: 0xa000, f: 0x8000 };

/** As a catalog keeps it of such an entry. */
function statFor({ typ }: FileSystemEntry): Buffer {
  const stat = Buffer.alloc(PACKED_STAT_SIZE, 7);
  stat.writeUInt16LE(KIND[typ] | 0o644, 12);
  return stat;
}

function outputOf({ path, entry }: { path: BytePath; entry: FileSystemEntry }): OutputEntry | undefined {
  const line = accepted(entry);
  if (line === undefined) return undefined;
  const sha = Buffer.alloc(32, path);
  const size = entry.typ === 'f' ? { size: entry.size ?? 0 } : {};
  return { path, line, flags: ONE_OBJECT, stat: statFor(entry), statAt: 0, sha, shaAt: 0, tag: 3, ...size };
}

function accepted(line: ManifestLine): Buffer | undefined {
  try {
    return checkedLine(line);
  } catch (error) {
    expect(error).toBeInstanceOf(LineFault);
    return undefined;
  }
}

/** What a run writes in the end, of what it is given. */
interface Given {
  startMs: number;
  host: string;
  entries: OutputEntry[];
  snapshots: SnapshotEntry[];
  problems: Problem[];
  requests: Record<string, number>;
}

interface Written {
  store: MemoryStore;
  key: string;
  version: string;
  manifestPath: string;
  entriesPath: string;
  membersAt: number;
}

/** Writes manifest and entries of the catalog as a run does, and stores the manifest. */
async function write(folder: string, given: Given): Promise<Written> {
  const store = new MemoryStore({ now: () => given.startMs });
  const problems = new ProblemLog(join(folder, 'problems'), () => undefined);
  const locks = LockDates.ofRun(given.startMs, 14, 'GOVERNANCE');
  const identity = { run: newRunId(given.startMs, MACHINE), machine: MACHINE, startMs: given.startMs };
  const options = { settings: { backupName: 'a-backup' }, host: given.host, tool: 'a tool' };
  const start = { options, problems, store } as unknown as Workshop['start'];
  const head = headerLine(identity, start.options, locks, []);
  const manifestPath = join(folder, 'manifest.jsonl.gz');
  const entriesPath = join(folder, 'entries');
  const spool = new ManifestSpool(manifestPath);
  const catalog = new EntryBlockWriter(entriesPath);
  const tally = new Tally(() => undefined);
  const { length: membersAt } = await spool.append(OwnMemory.of(head));
  const count = (stats: Buffer, at: number, size?: number) => tally.count(stats, at, size);
  const output = new EntryOutput(spool, catalog, count, () => undefined, 0, 0);
  for (let at = 0; at < given.entries.length; at += 3)
    output.add(given.entries.slice(at, at + 3), [undefined, undefined, undefined]);
  await output.finish();
  for (const problem of given.problems) problems.add(problem);
  const workshop = { spool, identity, locks, start } as unknown as Workshop;
  const { outcome } = problems;
  const footer = { ...totalsOf(tally, problems, given.snapshots), outcome, requests: given.requests };
  const { key, version } = await storeManifest(workshop, footer, given.snapshots, locks.needed);
  catalog.finish();
  return { store, key, version, manifestPath, entriesPath, membersAt };
}

const snapshot = fc
  .record({
    name: edges.text(255),
    content: edges.content,
    description: edges.text(65_536),
    through: fc.option(edges.text(65_536), { nil: undefined }),
  })
  .map(({ name, content, description, through }) => ({
    typ: 's' as const,
    name,
    ...content,
    description,
    ...(through === undefined ? {} : { restore_through: through }),
  }));

const problem = fc
  .record({
    severity: fc.constantFrom('note' as const, 'failure' as const, 'broken' as const),
    code: fc.constantFrom('unreadable', 'missing'),
    message: edges.text(300_000),
    path: fc.option(edges.byteText(65_536), { nil: undefined }),
    source: fc.option(edges.text(255), { nil: undefined }),
  })
  .map(({ path, source, ...rest }) => ({
    ...rest,
    ...(path === undefined ? {} : { path }),
    ...(source === undefined ? {} : { source }),
  }));

/** Ascending by path, each once: as they come from the pickers. */
function inOrder(entries: readonly OutputEntry[]): OutputEntry[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

describe('what a run writes is read', () => {
  it('any entries, snapshots and problems with their fields at the edges: manifest, footer and catalog', async () => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(edges.entry, { maxLength: 12 }),
        fc.array(snapshot, { maxLength: 2 }),
        fc.array(problem, { maxLength: 3 }),
        edges.text(64),
        fc.constantFrom(0, START, Date.UTC(9999, 11, 31)),
        async (nodes, snapshots, problems, host, startMs) => {
          const folder = temporaryFolder();
          const outputs = nodes.map(outputOf);
          const entries = inOrder(outputs.filter((output) => output !== undefined));
          refused += outputs.filter((output) => output === undefined).length;
          const taken = snapshots.filter((line) => accepted(line) !== undefined);
          const given = {
            startMs,
            host,
            entries,
            snapshots: taken,
            problems,
            requests: { put: 2 ** 53 - 1 },
          };
          const { store, key, version, manifestPath, entriesPath, membersAt } = await write(folder, given);
          try {
            const lines: ManifestLine[] = [];
            for await (const batch of readManifest(store, key, version)) lines.push(...batch);
            expect(lines.slice(1, 1 + entries.length)).toEqual(
              entries.map(({ path, line }) => {
                const read = JSON.parse(line.toString()) as FileSystemEntry;
                // Of two with one path the later one that was accepted has been taken.
                const given = nodes.filter((node) => node.path === path).map(({ entry }) => entry);
                expect(given.map(plain)).toContainEqual(read);
                return read;
              }),
            );
            expect(lines.filter(({ typ }) => typ === 's')).toEqual(taken.map(plain));
            expect(lines.filter(({ typ }) => typ === 'problem')).toHaveLength(problems.length);

            const { size } = await store.head(key, version);
            expect(await readFooter(store, key, version, size)).toEqual(lines.at(-1));
            const fetched = await fetchManifest(store, { key, version }, folder);
            await fetched.remove();
            for await (const lazy of readLazily(store, key, version)) for (const { line } of lazy) void line;

            const known = new KnownEntries(entriesPath, manifestPath, membersAt, new Uint32Array(0));
            try {
              expect(known.count).toBe(entries.length);
              for (let block = 0; block < known.blocks; block++) expectBlock(known, block, entries);
              expect(known.damage).toBeUndefined();
            } finally {
              known.close();
            }
          } finally {
            rmSync(folder, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: Number(process.env['EDGE_RUNS'] ?? 60) },
    );
    expect(refused).toBeGreaterThan(0);
  });

  it('a sum beyond 2^53 stops there, in footer and reader', async () => {
    const folder = temporaryFolder();
    const large = (path: string, size: number) =>
      outputOf({ path: pathFromText(path), entry: { ...file(path, 'x'), size } }) ?? expect.fail('refused');
    const entries = ['/a', '/b', '/c'].map((path) => large(path, 2 ** 53 - 1));
    const given = { startMs: START, host: 'host', entries, snapshots: [], problems: [], requests: {} };
    const { store, key, version } = await write(folder, given);
    const lines: ManifestLine[] = [];
    for await (const batch of readManifest(store, key, version)) lines.push(...batch);
    expect(lines.at(-1)).toMatchObject({ typ: 'end', bytes: 2 ** 53 - 1, counts: { f: 3 } });
  });

  it('a run that no key can name, or whose header no reader takes, ends before anything is stored', async () => {
    const given = { host: 'host', entries: [], snapshots: [], problems: [], requests: {} };
    const later = write(temporaryFolder(), { ...given, startMs: Date.UTC(9999, 11, 31) + 86_400_000 });
    await expect(later).rejects.toMatchObject({
      code: 'SYSTEM',
      message: expect.stringContaining('found again'),
    });
    const odd = write(temporaryFolder(), { ...given, startMs: START, host: undefined as unknown as string });
    await expect(odd).rejects.toMatchObject({ code: 'SYSTEM', message: expect.stringContaining('`host`') });
    const requests = { put: Number.NaN };
    const footer = write(temporaryFolder(), { ...given, startMs: START, requests });
    await expect(footer).rejects.toMatchObject({ code: 'SYSTEM', message: expect.stringContaining('`put`') });
  });
});

function plain<Line>(line: Line): Line {
  return JSON.parse(JSON.stringify(line)) as Line;
}

function expectBlock(known: KnownEntries, number: number, entries: readonly OutputEntry[]): void {
  const block = known.take(number) ?? expect.fail('no block');
  known.open(number, block);
  for (let index = 0; index < block.count; index++) {
    const entry = entries[block.first + index] ?? expect.fail('no entry');
    expect(block.path(index)).toBe(entry.path);
    expect(block.line(index).equals(entry.line)).toBe(true);
    const at = block.statOffset(index);
    expect(block.bytes.subarray(at, at + PACKED_STAT_SIZE).equals(entry.stat)).toBe(true);
    expect(block.bytes.subarray(block.shaOffset(index), block.shaOffset(index) + 32)).toEqual(entry.sha);
    expect([block.flags(index), block.tag(index)]).toEqual([entry.flags, entry.tag]);
  }
}

describe('what is made of a stat', () => {
  const names = {
    nameOfUser: (uid: number) => uid,
    nameOfGroup: () => 'a group',
    resolve: () => Promise.resolve(),
  };

  /** The entry made of what lies at a path, by this stat; undefined where it is a failure, which was reported. */
  async function madeOf(path: string, stat: Buffer, problems: Problem[]): Promise<OutputEntry | undefined> {
    const contents = {
      take: (_: BytePath, stat: FileStat, done: (content: unknown) => void) =>
        done({
          reading: {
            stat,
            sha: Buffer.alloc(32),
            size: stat.size,
            unlocked: false,
            changed: false,
            startedNs: 0n,
          },
          dat: { key: `content/${'ab'.repeat(32)}`, ver: 'v' },
          flags: 0,
          single: undefined,
        }),
    } as unknown as ContentTaker;
    const report = (problem: Problem) => problems.push(problem);
    const maker = new EntryMaker({ names, contents, report, startedNs: 0n });
    const made = maker.make(pathFromText(path), stat, 0);
    return await ('whenReady' in made ? made.whenReady() : made);
  }

  it('with every field at its ends is read as it was, or is that file’s failure', async () => {
    const folder = temporaryFolder();
    const places = { d: join(folder, 'd'), f: join(folder, 'f'), l: join(folder, 'l') };
    mkdirSync(places.d);
    writeFileSync(places.f, '');
    symlinkSync('x'.repeat(4000), places.l);
    const kinds = fc.constantFrom('d' as const, 'f' as const, 'l' as const);
    let failures = 0;
    await fc.assert(
      fc.asyncProperty(
        kinds.chain((kind) => fc.tuple(fc.constant(kind), edges.packedStat(KIND[kind]))),
        async ([kind, stat]) => {
          const problems: Problem[] = [];
          const made = await madeOf(places[kind], stat, problems);
          const { size, mtimeNs, uid, gid, mode } = new FileStat(stat);
          if (made === undefined) {
            failures++;
            expect(kind === 'f' && size > 2 ** 53 - 1).toBe(true);
            expect(problems).toEqual([expect.objectContaining({ severity: 'failure', code: 'too-large' })]);
            return;
          }
          const [line] = await linesOf([made.line]);
          expect(line).toMatchObject({ typ: kind, o: uid, uid, gid, mt: formatTimeNs(mtimeNs) });
          if (line?.typ === 'f') expect(line.size).toBe(size);
          if (line?.typ === 'f' || line?.typ === 'd') expect(line.mode).toBe(mode);
          expect(parseTimeNs((line as FileSystemEntry).mt ?? '')).toBe(mtimeNs);
        },
      ),
      { numRuns: Number(process.env['EDGE_RUNS'] ?? 300) },
    );
    expect(failures).toBeGreaterThan(0);
  });

  /** Lines between a header and a footer, through the reader. */
  async function linesOf(lines: readonly Buffer[]): Promise<ManifestLine[]> {
    const folder = temporaryFolder();
    const path = join(folder, 'manifest');
    const spool = new ManifestSpool(path);
    const parsed = lines.map((line) => JSON.parse(line.toString()) as FileSystemEntry);
    await spool.append(OwnMemory.of(checkedLine(header)));
    for (const line of lines) await spool.append(OwnMemory.of(Buffer.from(line)));
    const counts = { d: 0, l: 0, f: 0, s: 0, problems: 0 };
    for (const { typ } of parsed) counts[typ]++;
    const bytes = parsed.reduce((sum, line) => sum + (line.typ === 'f' ? (line.size ?? 0) : 0), 0);
    const stored = { objects: 0, bytes: 0 };
    await spool.finish((sha256) =>
      checkedLine({ typ: 'end', outcome: 'complete', counts, bytes, stored, requests: {}, sha256 }),
    );
    const read: ManifestLine[] = [];
    const key = `manifests/host-backup/${header.run}.complete.jsonl.gz`;
    for await (const batch of readManifestBytes(createReadStream(path), key)) read.push(...batch);
    rmSync(folder, { recursive: true, force: true });
    return read.slice(1, -1);
  }

  it('times of 64 bits are parsed, and no others', () => {
    for (const seconds of edges.SECONDS)
      for (const ns of [0n, 999_999_999n]) {
        const time = seconds * 1_000_000_000n + ns;
        expect(parseTimeNs(formatTimeNs(time))).toBe(time);
      }
    for (const text of [
      `${2n ** 63n}.000000000`,
      `${-(2n ** 63n) - 1n}.000000000`,
      '1.5',
      '1e9.000000000',
      '',
    ])
      expect(parseTimeNs(text)).toBeUndefined();
  });
});
