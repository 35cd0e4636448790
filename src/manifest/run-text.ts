/** What a person may mean by the part of a run's name that stands behind the backup name. */
export type MeantRun =
  /** The usable run that is so many before the newest. */
  | { kind: 'latest'; back: number }
  /** The newest usable run that was received on this day, UTC; times in milliseconds since the epoch. */
  | { kind: 'day'; from: number; to: number }
  /** The only run whose id begins so. */
  | { kind: 'beginning'; text: string };

const DAY_MS = 86_400_000;
const LATEST = /^latest(?:~(\d{1,6}))?$/;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** The backup name before the last slash (undefined without one), and what stands behind it. */
export function splitRunText(text: string): { backup: string | undefined; rest: string } {
  const slash = text.lastIndexOf('/');
  return { backup: slash === -1 ? undefined : text.slice(0, slash), rest: text.slice(slash + 1) };
}

/** `latest`, `latest~2`, `2026-11-20`; all else can only be how a run id begins. */
export function meantRun(text: string): MeantRun {
  const latest = LATEST.exec(text);
  if (latest) return { kind: 'latest', back: Number(latest[1] ?? 0) };
  const from = DAY.test(text) ? Date.parse(`${text}T00:00:00.000Z`) : Number.NaN;
  // Date.parse takes the 31st of a month with 30 days for the next month's first.
  if (!Number.isNaN(from) && new Date(from).toISOString().startsWith(text))
    return { kind: 'day', from, to: from + DAY_MS };
  return { kind: 'beginning', text };
}
