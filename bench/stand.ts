import type { Contender, Place, Repository } from './contenders/types.js';
import { measure } from './measure/run.js';
import type { Site } from './sites.js';
import type { Workspace } from './workspace.js';

/** A contender with a store of its own, ready to back up. */
export interface Stand {
  contender: Contender;
  place: Place;
  repository: Repository;
  /** Removes what it has on this disk. */
  close(): void;
}

/** Makes a contender's store, untimed. */
export async function openStand(contender: Contender, site: Site, workspace: Workspace): Promise<Stand> {
  const scratch = workspace.folder(contender.name);
  const place = await site.place(contender);
  const repository = contender.open(place, scratch);
  for (const command of repository.init) await measure(command, workspace.home);
  return {
    contender,
    place,
    repository,
    close: () => {
      workspace.remove(scratch);
      if (place.kind === 'directory') workspace.remove(place.path);
    },
  };
}
