import { LineFault } from './line-fault.js';

/** Checks of single fields of a manifest line. Each throws a {@link LineFault}, or says whether a value will do. */

export function exactlyOne(line: Record<string, unknown>, asText: string, asBase64: string): void {
  if ((line[asText] === undefined) === (line[asBase64] === undefined))
    throw new LineFault(`has not exactly one of \`${asText}\` and \`${asBase64}\``);
  optionalText(line, asText);
  optionalBase64(line, asBase64);
}

export const SHA256 = /^[0-9a-f]{64}$/;
const NOT_BASE64 = /[^A-Za-z0-9+/]/;

export function optionalBase64(line: Record<string, unknown>, field: string): void {
  const value = line[field];
  if (value !== undefined && !isBase64(value)) throw new LineFault(`\`${field}\` is no base64`);
}

// Searching for what must not be there needs no stack, however long the text of a hostile manifest is.
function isBase64(value: unknown): boolean {
  if (typeof value !== 'string' || value.length % 4 !== 0) return false;
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0;
  return !NOT_BASE64.test(padding === 0 ? value : value.slice(0, -padding));
}

export function text(line: Record<string, unknown>, field: string): void {
  if (typeof line[field] !== 'string') throw new LineFault(`\`${field}\` is no text`);
}

export function optionalText(line: Record<string, unknown>, field: string): void {
  if (line[field] !== undefined) text(line, field);
}

export function oneOf(line: Record<string, unknown>, field: string, allowed: readonly string[]): void {
  const value = line[field];
  if (typeof value !== 'string' || !allowed.includes(value))
    throw new LineFault(`\`${field}\` is ${shown(value)}`);
}

export function wholeNumber(line: Record<string, unknown>, field: string): void {
  if (!isWholeNumber(line[field])) throw new LineFault(`\`${field}\` is ${shown(line[field])}`);
}

/** An integer from 0 on that a double holds exactly. */
export function isWholeNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function isId(value: unknown): boolean {
  return isWholeNumber(value) && value <= 0xffff_ffff;
}

export function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value from outside, short enough for a message, and never walked into: it may be nested without end. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const json = JSON.stringify(typeof value === 'string' ? value.slice(0, 80) : value);
  return json;
}
