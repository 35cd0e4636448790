import type { CatalogHead } from '../catalog/head.js';
import { writeHead, writeObjectsFile } from '../catalog/objects-file.js';
import { writePrintOrder } from '../catalog/print-order.js';
import { messageOf } from '../errors.js';
import type { Workshop } from './workshop.js';

/**
 * Makes what this run knows the catalog. The manifest is stored by now, so nothing that fails here can fail the run: a
 * warning says what, and what the next run does again.
 *
 * @returns whether all is in the catalog; otherwise the old one and the journal are what the next run goes by
 */
export function remember(workshop: Workshop, order: Uint32Array, head: CatalogHead): boolean {
  const { start, generation, catalog } = workshop;
  const { state, recalled, onEvent } = start;
  const warn = (message: string): void => onEvent({ type: 'log', level: 'warning', message });
  try {
    write(workshop, order, head);
    const left = state.adopt(generation);
    for (const what of left.warnings) warn(`the run is stored; ${what}`);
    return left.isDurable;
  } catch (error) {
    const old = recalled.catalog?.head.run;
    const again =
      old === undefined ? 'reads all files again' : `reads again what has changed since run ${old}`;
    warn(
      `the run is stored, but what it knows could not be written to ${state.path} (${messageOf(error)}): the next ` +
        `one ${again}, and by the journal stores none of it twice`,
    );
    quietly(() => catalog.abandon());
    quietly(() => state.remove(generation));
    return false;
  }
}

/** What a run that saw too little knows of files is not kept for the next. */
function write(
  { start, generation, catalog: entries }: Workshop,
  order: Uint32Array,
  head: CatalogHead,
): void {
  const { catalog, objects } = start.recalled;
  const broken = start.problems.outcome === 'broken';
  entries.finish();
  if (broken && catalog !== undefined) {
    start.state.keepEntries(catalog, generation);
    head.entriesAt = catalog.head.entriesAt;
    Object.assign(head.users, { ...catalog.head.users, ...head.users });
    Object.assign(head.groups, { ...catalog.head.groups, ...head.groups });
  } else writePrintOrder(generation.orderPath, order);
  const last = catalog?.objectsPath;
  writeObjectsFile(generation.objectsPath, objects, Math.floor(start.startMs / 1000), {
    keepLive: broken,
    last,
  });
  writeHead(generation.headPath, head);
}

/** What the next run tries again by itself. */
function quietly(step: () => void): void {
  try {
    step();
  } catch {
    // The reason why all this is given up has been told.
  }
}
