import type { Retention } from './port.js';

/**
 * Why a lock may not be replaced by another, in words that end a sentence; undefined where it may. A lock moves
 * only outwards and COMPLIANCE never becomes GOVERNANCE (S3 User Guide, "How S3 Object Lock works").
 */
export function refusalOfExtension(current: Retention | undefined, wanted: Retention): string | undefined {
  if (current === undefined) return undefined;
  if (wanted.until < current.until) return `it is locked until ${lockDate(current)} already`;
  if (current.mode === 'COMPLIANCE' && wanted.mode !== 'COMPLIANCE') return 'its lock is in COMPLIANCE mode';
  return undefined;
}

/** The lock that keeps both promises: the later date, the stricter mode. */
export function stricterOf(a: Retention | undefined, b: Retention | undefined): Retention | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    mode: a.mode === 'COMPLIANCE' || b.mode === 'COMPLIANCE' ? 'COMPLIANCE' : 'GOVERNANCE',
    until: Math.max(a.until, b.until),
  };
}

export function sameLock(a: Retention | undefined, b: Retention | undefined): boolean {
  return a?.mode === b?.mode && a?.until === b?.until;
}

function lockDate(retention: Retention): string {
  return new Date(retention.until * 1000).toISOString().replace('.000Z', 'Z');
}
