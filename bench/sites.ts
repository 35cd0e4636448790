import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender, Place } from './contenders/types.js';
import { CountingProxy, type Traffic } from './proxy/counting-proxy.js';
import { makeBucket, type S3Server, type ServerKind, storedInBucket } from './servers/server.js';
import { startServer } from './servers/start.js';
import { survey } from './trees/tree.js';
import type { Workspace } from './workspace.js';

/** Where contenders get places to store in. */
export interface Site {
  /** What is there, for the table. */
  description: string;
  /** A new empty place. */
  place(contender: Contender): Promise<Place>;
  /** What was sent since the last call; undefined where nothing counts. */
  takeTraffic(): Traffic | undefined;
  /** With everything in it. */
  close(): Promise<void>;
}

/** Folders on the disk of the workspace. */
export function directorySite(workspace: Workspace): Site {
  const folder = workspace.folder('stores');
  let count = 0;
  return {
    description: 'a directory',
    place: async () => {
      count += 1;
      const path = join(folder, String(count));
      mkdirSync(path);
      return { kind: 'directory', path };
    },
    takeTraffic: () => undefined,
    close: async () => workspace.remove(folder),
  };
}

/** Buckets of a server of its own. `counted`: all goes through a proxy, which costs time. */
export async function s3Site(kind: ServerKind, workspace: Workspace, counted: boolean): Promise<Site> {
  const folder = workspace.folder(kind);
  const server: S3Server = await startServer(kind, folder);
  const proxy = counted ? await CountingProxy.start(server.access.endpoint) : undefined;
  let count = 0;
  return {
    description: `${server.version}, on this machine`,
    place: async (contender) => {
      count += 1;
      const place = await makeBucket(server.access, `bench-${count}`, contender.needsObjectLock === true);
      return { kind: 's3', ...place, endpoint: proxy?.endpoint ?? place.endpoint };
    },
    takeTraffic: () => proxy?.take(),
    close: async () => {
      await proxy?.stop();
      await server.stop();
      workspace.remove(folder);
    },
  };
}

/** Bytes of all that lies there: files as long as they are, objects with all their versions. */
export async function bytesIn(place: Place): Promise<number> {
  return place.kind === 'directory' ? survey(place.path).bytes : (await storedInBucket(place)).bytes;
}
