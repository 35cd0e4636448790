import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countOf,
  formatBytes,
  formatCount,
  formatDollars,
  formatDuration,
  formatTime,
} from '#cli/presentation/quantities.js';

const FACTORS: Record<string, number> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
};

describe('formatBytes', () => {
  it('is within half a percent of the number, in at most four characters and a unit', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (bytes) => {
        const [number = '', unit = ''] = formatBytes(bytes).split(' ');
        expect(Number(number) * (FACTORS[unit] ?? Number.NaN)).toBeGreaterThanOrEqual(bytes * 0.995);
        expect(Number(number) * (FACTORS[unit] ?? Number.NaN)).toBeLessThanOrEqual(bytes * 1.005);
        expect(number.length).toBeLessThanOrEqual(4);
      }),
    );
  });

  it('never shows four digits before a unit other than B', () => {
    expect(formatBytes(1023)).toBe('1023 B');
    expect(formatBytes(1024)).toBe('1.00 KiB');
    expect(formatBytes(1023.9 * 1024)).toBe('1.00 MiB');
    expect(formatBytes(999 * 1024)).toBe('999 KiB');
  });
});

describe('formatCount', () => {
  it('groups digits by threes, and nothing else', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (count) => {
        const text = formatCount(count);
        expect(text).toMatch(/^\d{1,3}(,\d{3})*$/);
        expect(Number(text.replaceAll(',', ''))).toBe(count);
      }),
    );
  });
});

it('one is singular, all else plural', () => {
  expect(countOf(1, 'file')).toBe('1 file');
  expect(countOf(0, 'file')).toBe('0 files');
  expect(countOf(2, 'entry', 'entries')).toBe('2 entries');
});

describe('formatDuration', () => {
  it('carries what is rounded up into the next unit', () => {
    expect(formatDuration(59.97)).toBe('1 min 00 s');
    expect(formatDuration(3599.6)).toBe('1 h 00 min');
    expect(formatDuration(24 * 3600 - 10)).toBe('1 d 00 h');
    expect(formatDuration(0.004)).toBe('0.00 s');
  });
});

it('shows a time in UTC whatever form it has', () => {
  const time = Date.UTC(2026, 10, 20, 12, 10, 33, 999);
  expect(formatTime(time)).toBe('2026-11-20 12:10:33Z');
  expect(formatTime(new Date(time).toISOString())).toBe(formatTime(time));
});

describe('formatDollars', () => {
  it('is within five percent of the price, and never so small that it seems to be nothing', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.000_001, max: 1e9, noNaN: true }), (dollars) => {
        const text = formatDollars(dollars);
        expect(text).toMatch(/^\$[\d,]+(\.\d+)?$/);
        expect(Math.abs(Number(text.slice(1).replaceAll(',', '')) / dollars - 1)).toBeLessThanOrEqual(0.05);
      }),
    );
    expect(formatDollars(0)).toBe('$0');
    expect(formatDollars(1e-9)).toBe('under $0.000001');
    expect(formatDollars(1234.5)).toBe('$1,234.50');
  });
});
