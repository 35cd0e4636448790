import { join } from 'node:path';
import { judgePicker } from '../sources/judge-picker.js';
import { runPickers } from '../sources/pickers.js';
import { Gatherer } from './gather.js';
import { PickedPaths } from './picked-paths.js';
import type { RunStart } from './workshop.js';

export interface Picked {
  paths: PickedPaths;
  /** Paths each picker printed. */
  printed: Record<string, number>;
  /** Paths that were printed and not there. */
  missing: string[];
  /** When the first picker began, nanoseconds by the machine's clock. */
  startedNs: bigint;
}

/** Runs the pickers and gathers what gets an entry. */
export async function pickPaths({ options, state, recalled, problems }: RunStart): Promise<Picked> {
  const { settings, env, uid, signal, onEvent } = options;
  const { timeout, allowEmpty } = settings.programs;
  const lastHead = recalled.catalog?.head;
  const startedNs = BigInt(Date.now()) * 1_000_000n;
  const paths = new PickedPaths(state.spoolPath);
  const gatherer = new Gatherer(paths, (problem) => problems.add(problem), startedNs, lastHead?.missing);
  const results = await runPickers({
    folder: join(settings.confDir, 'pickers.d'),
    uid,
    env,
    ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
    ...(signal === undefined ? {} : { signal }),
    onPaths: (picked, picker) => {
      for (const path of picked) gatherer.pick(path, picker);
    },
    onLog: (picker, line) => onEvent?.({ type: 'log', level: 'info', message: line, source: picker }),
  });
  const printed: Record<string, number> = {};
  for (const result of results) {
    for (const problem of result.problems) problems.add(problem);
    printed[result.name] = result.printed;
    const allowed = allowEmpty.includes(result.name);
    const verdict = judgePicker(result.printed, lastHead?.pickers[result.name], allowed, result.name);
    if (verdict !== undefined) problems.add(verdict);
  }
  return { paths, printed, missing: gatherer.missing, startedNs };
}
