import { awsSync } from './aws-sync.js';
import { borg } from './borg.js';
import { kopia, kopiaGzip } from './kopia.js';
import { rclone } from './rclone.js';
import { restic } from './restic.js';
import { rustic } from './rustic.js';
import { tarGzip, xargsGzip } from './tar.js';
import type { Contender, Peer, Place } from './types.js';
import { findProgram } from './version.js';

export const PEERS: readonly Peer[] = [
  restic,
  rustic,
  kopia,
  kopiaGzip,
  borg,
  rclone,
  awsSync,
  tarGzip,
  xargsGzip,
];

export interface ChosenPeers {
  contenders: Contender[];
  /** A line for each that is not here: how to get it. */
  missing: string[];
}

/**
 * The peers that a case wants, so far as they are here; or exactly those that the user names, `restic` or
 * `restic=/path/to/restic`, the same one twice where its versions are to be compared.
 */
export function choosePeers(wanted: readonly string[], named: readonly string[] | undefined): ChosenPeers {
  const chosen: ChosenPeers = { contenders: [], missing: [] };
  const uses = new Map<string, number>();
  for (const word of named ?? wanted) {
    const [name = '', path] = word.split('=', 2);
    const peer = PEERS.find((candidate) => candidate.name === name);
    if (peer === undefined)
      throw new Error(`no such peer: ${name}. There are ${PEERS.map((known) => known.name).join(', ')}`);
    const program = findProgram(path ?? peer.program ?? name);
    if (program === undefined) {
      if (path !== undefined) throw new Error(`${path} is no program`);
      chosen.missing.push(`${name} is not here, and left out. To get it: ${peer.howToGet}`);
      continue;
    }
    const use = (uses.get(name) ?? 0) + 1;
    uses.set(name, use);
    for (const contender of peer.contenders(program))
      chosen.contenders.push(use === 1 ? contender : { ...contender, name: `${contender.name} (${use})` });
  }
  return chosen;
}

/** Those that can store in such a place. */
export function storingIn(kind: Place['kind'], contenders: readonly Contender[]): Contender[] {
  return contenders.filter(({ places }) => places.includes(kind));
}
