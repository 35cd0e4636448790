import { resolve } from 'node:path';
import { type Contender, type Place } from '../contenders/types.js';
import { holding } from '../measure/gate.js';
import { measure } from '../measure/run.js';
import { type ServerKind } from '../servers/server.js';
import { HOW_TO_GET, isThere } from '../servers/start.js';
import { directorySite, s3Site, type Site } from '../sites.js';
import { openStand, type Stand } from '../stand.js';
import { expectSame } from '../trees/compare.js';
import { generatedTree, type TreePlan } from '../trees/generate.js';
import { survey, type Tree } from '../trees/tree.js';
import type { Workspace } from '../workspace.js';
import { fail, prepareEach, type Result } from '../rounds.js';

export interface BenchOptions {
  /** To back up, instead of generated files. */
  path?: string;
  /** How many files to generate; default: the case's own. */
  files?: number;
  /** Bytes of the one file of `blocks`. */
  size?: number;
  /** Nights that `requests` simulates. Default 365. */
  nights?: number;
  /** Lines of `[content]` of ours. */
  content: readonly string[];
  rounds: number;
  caches: 'warm' | 'cold';
  /** Restore what was stored, and compare. */
  verify: boolean;
  /** The S3 server to use, if any is used. */
  server?: ServerKind;
  /** See `measure/gate.ts`. */
  whilePreparing?: string;
  whileMeasuring?: string;
  roundsInATurn?: number;
}

export interface BenchContext {
  options: BenchOptions;
  workspace: Workspace;
  /** Ours first. Only those that can store in the case's kind of place. */
  contenders: readonly Contender[];
  /** What is under way. */
  tell: (message: string) => void;
}

export interface Report {
  text: string;
  /** Somebody did not do the work. */
  failed: boolean;
}

export interface Case {
  name: string;
  /** For `--help`. */
  summary: string;
  store: Place['kind'];
  /** Of `PEERS`, those that it is compared with unless the user names others. */
  peers: readonly string[];
  /** Of ours, so far as Node.js has them. */
  compressions: readonly string[];
  run(context: BenchContext): Promise<Report>;
}

export const BACKUP_PEERS: Record<Place['kind'], readonly string[]> = {
  directory: ['restic', 'rustic', 'kopia', 'borg'],
  s3: ['restic', 'rustic', 'kopia', 'rclone', 'aws'],
};

/** The user's folder, or the generated one. */
export function treeFor({ options, workspace, tell }: BenchContext, plan: TreePlan): Tree {
  if (options.path !== undefined) return survey(resolve(options.path));
  const files = options.files ?? plan.files;
  tell(`generating ${files} files, or taking those of an earlier call`);
  return generatedTree(workspace.trees, { ...plan, files });
}

/** Where a case stores: a folder, or a server's buckets, counted or not. */
export async function openSite(
  { options, workspace }: BenchContext,
  store: Place['kind'],
  counted = false,
): Promise<Site> {
  return store === 'directory' ? directorySite(workspace) : s3Site(serverFor(options), workspace, counted);
}

function serverFor({ server }: BenchOptions): ServerKind {
  if (server !== undefined) return server;
  const kinds: ServerKind[] = ['ceph', 'versitygw'];
  const there = kinds.find(isThere);
  if (there !== undefined) return there;
  const ways = kinds.map((kind) => `${kind}: ${HOW_TO_GET[kind]}`).join('; ');
  throw new Error(`this case needs an S3 server, and none is here. To get one: ${ways}`);
}

/** A store for each contender with a first backup in it, untimed. */
export async function withFirstBackups(
  context: BenchContext,
  site: Site,
  tree: Tree,
): Promise<{ stands: Stand[]; failed: Result[] }> {
  const { contenders, workspace, options, tell } = context;
  return holding(options.whilePreparing, async () => {
    const prepare = async (contender: Contender): Promise<Stand> => {
      const stand = await openStand(contender, site, workspace);
      await measure(stand.repository.backup(tree), workspace.home);
      return stand;
    };
    const { ready, failed } = await prepareEach(contenders, prepare, tell);
    return { stands: ready.map(({ prepared }) => prepared), failed };
  });
}

/** Restores each store's last backup and compares it with the tree. Where it is not the same no figure counts. */
export async function verifyStores(
  { workspace, options, tell }: BenchContext,
  tree: Tree,
  results: readonly Result[],
  stands: readonly Stand[],
): Promise<void> {
  if (!options.verify) return;
  for (const { contender, repository } of stands) {
    const result = results.find((candidate) => candidate.contender === contender);
    const { restore, restored } = repository;
    if (
      result === undefined ||
      result.failure !== undefined ||
      restore === undefined ||
      restored === undefined
    )
      continue;
    tell(`restoring and comparing what ${contender.name} stored`);
    const target = workspace.folder('verified');
    try {
      await measure(restore(tree, target), workspace.home);
      expectSame(tree.path, restored(tree, target), contender.notKept);
    } catch (error) {
      fail(result, error, tell);
    }
    workspace.remove(target);
  }
}

/** Adds to results what they were told to count, each in a run of its own whose time does not matter. */
export async function addTraffic(
  context: BenchContext,
  store: Place['kind'],
  results: readonly Result[],
  run: (stand: Stand, site: Site) => Promise<void>,
): Promise<void> {
  if (store === 'directory') return;
  const { workspace, options, tell } = context;
  await holding(options.whilePreparing, async () => {
    for (const result of results) {
      if (result.failure !== undefined) continue;
      tell(`counting the requests of ${result.contender.name}`);
      const site = await openSite(context, store, true);
      try {
        const stand = await openStand(result.contender, site, workspace);
        site.takeTraffic();
        await run(stand, site);
        const traffic = site.takeTraffic();
        if (traffic !== undefined) result.traffic = traffic;
        stand.close();
      } finally {
        await site.close();
      }
    }
  });
}
