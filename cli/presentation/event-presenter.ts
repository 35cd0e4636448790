import type { EventListener, SysbackupEvent } from '../../src/index.js';
import type { Session } from '../session.js';
import { jsonOfEvent, printsAsJson } from './event-json.js';
import { eventLogger } from './event-lines.js';
import { ProgressView } from './progress-view.js';

export type ProgressChoice = 'auto' | 'always' | 'never';

/** Between two lines of progress where there is no terminal to draw them on. */
const LINE_EVERY_MS = 5000;

/**
 * Presents the events of a long command: as JSON lines on standard output with --json, else as lines of the log,
 * and as progress on a terminal.
 */
export class EventPresenter {
  readonly #session: Session;
  readonly #clock: () => number;
  readonly #logged: EventListener;
  readonly #view: ProgressView | undefined;
  #lineAt = 0;

  constructor(session: Session, progress: ProgressChoice, clock: () => number = () => performance.now()) {
    this.#session = session;
    this.#clock = clock;
    this.#logged = eventLogger(session.globals.json ? session.fileLog : session.log, clock);
    const wanted =
      progress === 'always' ||
      (progress === 'auto' && session.terminal && !session.globals.json && !session.quiet);
    this.#view = wanted ? new ProgressView(clock) : undefined;
    this.#lineAt = clock() + LINE_EVERY_MS;
  }

  readonly listener: EventListener = (event) => {
    const { globals, log, output } = this.#session;
    if (globals.json && printsAsJson(event, (level) => log.takes(level))) output.json(jsonOfEvent(event));
    this.#logged(event);
    this.#progress(event);
  };

  /** Takes the progress off the terminal, and tells how many lines of each kind were left out. */
  finish(): void {
    const { terminal, screen, log, fileLog } = this.#session;
    if (terminal) screen.status('');
    log.writeRest();
    fileLog.writeRest();
  }

  #progress(event: SysbackupEvent): void {
    const view = this.#view;
    if (view === undefined) return;
    if (event.type === 'phase') view.enter(event.phase);
    else if (event.type === 'progress') view.update(event);
    else return;
    const { screen, terminal } = this.#session;
    if (terminal) {
      screen.status(view.line(screen.columns));
    } else if (this.#clock() >= this.#lineAt) {
      this.#lineAt = this.#clock() + LINE_EVERY_MS;
      screen.line(view.line(Number.POSITIVE_INFINITY));
    }
  }
}
