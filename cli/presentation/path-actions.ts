import { type PathAction, displayPath } from '../../src/index.js';
import type { Session } from '../session.js';
import { jsonOfPath } from './event-json.js';
import { formatBytes } from './quantities.js';
import { printable } from './printable.js';

const VERBS: Record<PathAction['does'], string> = {
  create: 'create',
  replace: 'replace',
  'set-metadata': 'set-metadata',
  keep: 'keep',
  link: 'link',
};

/** What becomes of each path: the data of a dry run, and a matter for --log-level debug otherwise. */
export class PathActionPresenter {
  readonly #session: Session;
  readonly #isData: boolean;

  constructor(session: Session, isData: boolean) {
    this.#session = session;
    this.#isData = isData;
  }

  readonly show = (action: PathAction): void => {
    const { output, log, globals } = this.#session;
    const { path, kind, does, bytes, requests } = action;
    // A dry run lists what would change.
    if ((!this.#isData || does === 'keep') && !log.takes('debug')) return;
    if (globals.json) {
      output.json({ type: 'path', ...jsonOfPath(path), kind, does, bytes, requests });
      return;
    }
    const text = `${VERBS[does].padEnd(12)}  ${displayPath(path)}${bytes > 0 ? ` (${formatBytes(bytes)})` : ''}`;
    if (this.#isData) output.line(printable(text));
    else log.write('debug', text);
  };
}
