import { SysbackupError } from '../errors.js';

/** When a timer starts: at a moment in this window, its own for each machine. */
export interface TimeWindow {
  /** As systemd takes it: `01:00:00`. */
  start: string;
  /** As systemd takes it: `4h`. */
  length: string;
}

export const DEFAULT_WINDOW = { start: '01:00', length: '4h' } as const;

const SECONDS: Record<string, number> = { s: 1, sec: 1, m: 60, min: 60, h: 3600, hr: 3600, d: 86_400 };
const DAY = 86_400;

/**
 * Reads `01:00` or `01:00:30` and `4h`, `90min` or `1h 30min`: what systemd takes too, in its simplest form
 * (systemd.time(7)). Throws USAGE.
 */
export function timeWindow(start: string, length: string): TimeWindow {
  const [, hours = '', minutes = '', seconds = '00'] =
    /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(start.trim()) ?? [];
  if (hours === '' || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59)
    throw new SysbackupError('USAGE', `--bkpwin-start ${JSON.stringify(start)} is no time of the day`, {
      hint: 'Write it like 01:00 or 23:30, in the machine’s own time zone.',
    });
  const total = secondsOf(length);
  if (total === undefined || total >= DAY)
    throw new SysbackupError('USAGE', `--bkpwin-length ${JSON.stringify(length)} is no length of a window`, {
      hint: 'Write it like 4h, 90min or 1h 30min; it is shorter than a day.',
    });
  return { start: `${hours.padStart(2, '0')}:${minutes}:${seconds}`, length: `${total}s` };
}

function secondsOf(text: string): number | undefined {
  const parts = [...text.trim().matchAll(/(\d{1,6})\s*([a-z]+)\s*/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text.trim()) return undefined;
  let total = 0;
  for (const [, amount, unit = ''] of parts) {
    const factor = SECONDS[unit];
    if (factor === undefined) return undefined;
    total += Number(amount) * factor;
  }
  return total;
}
