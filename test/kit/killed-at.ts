/** When a program is killed: see `killing-itself.mjs`. */
export interface Moment {
  /** Of an event. */
  type: string;
  count: number;
  /** What it does to a disk or a connection after that event: the first, the second, … 0: right at the event. */
  operations: number;
  /** Default SIGKILL. */
  signal?: NodeJS.Signals;
}

/** Environment in which the built program kills itself at a moment. */
export function killedAt(moment: Moment): Record<string, string> {
  const module = new URL('killing-itself.mjs', import.meta.url).href;
  return { KILL_AT: JSON.stringify(moment), NODE_OPTIONS: `--import ${module}` };
}
