/** With three digits or so. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '';
  if (value >= 100) return Math.round(value).toLocaleString('en-US');
  if (value === 0) return '0';
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

export function mebibytes(bytes: number): string {
  return shortNumber(bytes / 2 ** 20);
}

/** US dollars, however few. */
export function dollars(amount: number): string {
  return amount === 0 ? '0' : amount.toPrecision(3);
}
