import { DAY_SECONDS } from '../store/lock-dates.js';
import type { RetentionClass } from './types.js';

const DAY_MS = DAY_SECONDS * 1000;

/** A period's length in days, never shorter than any of its kind. */
const PERIOD_DAYS: Record<RetentionClass, number> = { weekly: 7, monthly: 31, yearly: 366 };

export function periodDays(name: RetentionClass): number {
  return PERIOD_DAYS[name];
}

/** The week (ISO 8601: Monday to Sunday, `2026-W47`), month (`2026-11`) or year a time is in, in UTC. */
export function periodOf(name: RetentionClass, ms: number): string {
  const date = new Date(ms);
  if (name === 'yearly') return String(date.getUTCFullYear());
  if (name === 'monthly') return `${date.getUTCFullYear()}-${twoDigits(date.getUTCMonth() + 1)}`;
  // A week belongs to the year that its Thursday is in.
  const weekday = (date.getUTCDay() + 6) % 7;
  const thursday = new Date(
    Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() - weekday + 3),
  );
  const yearStart = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - yearStart) / (7 * DAY_MS)) + 1;
  return `${thursday.getUTCFullYear()}-W${twoDigits(week)}`;
}

/** Until when a run that stands for a class is kept: seconds since the epoch. */
export function classUntil(startMs: number, days: number): number {
  return Math.ceil(startMs / 1000) + days * DAY_SECONDS;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0');
}
