import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As `node --cpu-prof` writes it. */
export interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[];
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

/** Seconds by where they were spent: a room of this program, a package, Node.js, the garbage collector, waiting. */
export type Spent = Map<string, number>;

/** What the main thread's profile in a folder tells. Workers leave none, since they are terminated. */
export function mainThreadIn(folder: string): Spent {
  // CPU.<date>.<time>.<process>.<thread>.<number>.cpuprofile
  const name = readdirSync(folder).find((file) => file.split('.')[4] === '0');
  if (name === undefined) throw new Error('Node.js wrote no profile of its main thread');
  return spentIn(JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile);
}

/** A profile's time by place. */
export function spentIn({ nodes, samples, timeDeltas }: CpuProfile): Spent {
  const spent: Spent = new Map();
  const places = placesOf(nodes);
  for (const [index, sample] of samples.entries()) {
    const place = places.get(sample) ?? 'unknown';
    // A sample stands for the pause that follows it.
    spent.set(place, (spent.get(place) ?? 0) + (timeDeltas[index + 1] ?? 0) / 1e6);
  }
  return spent;
}

/**
 * Where each node's own time is spent. What a room calls in Node.js, in a package or in the kernel is the room's, as far
 * as the stack shows who called.
 */
function placesOf(nodes: CpuProfile['nodes']): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const places = new Map<number, string>();
  const isChild = new Set(nodes.flatMap(({ children = [] }) => children));
  const visit = (id: number, room: string | undefined): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const own = roomOf(node.callFrame.url) ?? room;
    places.set(id, specialPlace(node.callFrame.functionName) ?? own ?? otherPlace(node.callFrame.url));
    for (const child of node.children ?? []) visit(child, own);
  };
  for (const { id } of nodes) if (!isChild.has(id)) visit(id, undefined);
  return places;
}

function specialPlace(functionName: string): string | undefined {
  if (functionName === '(idle)') return 'waiting';
  return functionName === '(garbage collector)' ? 'garbage collector' : undefined;
}

/** `src/files`, `cli`. */
function roomOf(url: string): string | undefined {
  return /\/dist\/(src\/[^/]+|cli)\//.exec(url)?.[1];
}

function otherPlace(url: string): string {
  const dependency = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (dependency !== undefined)
    return dependency.startsWith('@') ? (dependency.split('/')[0] ?? '') : dependency;
  return url.startsWith('node:') ? url.split('/').slice(0, 2).join('/') : 'native code';
}
