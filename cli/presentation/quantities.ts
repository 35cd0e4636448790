const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes in IEC units with three significant digits: `0 B`, `1.00 KiB`, `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = '';
  for (unit of UNITS) {
    value /= 1024;
    // 999.5 and more would be rounded to four digits.
    if (value < 999.5) break;
  }
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${unit}`;
}

/** `1,234,567`. Without Intl, which costs milliseconds at its first use. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** US dollars: cents from a dollar on (`$1,234.50`), below it two digits that say something (`$0.0042`). */
export function formatDollars(dollars: number): string {
  if (dollars === 0) return '$0';
  if (dollars < 0.000_001) return 'under $0.000001';
  if (dollars < 0.995) return `$${Number(dollars.toPrecision(2)).toFixed(8).replace(/0+$/, '')}`;
  const [whole = '', cents = ''] = dollars.toFixed(2).split('.');
  return `$${formatCount(Number(whole))}.${cents}`;
}

/** `1 file`, `1,234 files`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Seconds as `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`, `4 d 01 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${padded(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${padded(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${padded(hours % 24)} h`;
}

/** A point in time, as ISO 8601 text or milliseconds since the epoch, as `2026-11-20 12:10:33Z`. */
export function formatTime(time: string | number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

function padded(number: number): string {
  return String(number).padStart(2, '0');
}
