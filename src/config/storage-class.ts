import type { Settings } from './settings.js';

/** The classes of AWS that objects can be put in with one PUT to an ordinary bucket. */
export const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
  'REDUCED_REDUNDANCY',
] as const;

/**
 * Days that AWS charges for at least, however soon an object goes
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html).
 */
const MINIMUM_DAYS = new Map([
  ['STANDARD_IA', 30],
  ['ONEZONE_IA', 30],
  ['GLACIER_IR', 90],
  ['GLACIER', 90],
  ['DEEP_ARCHIVE', 180],
]);

/** Classes that must be thawed for hours before an object can be read. */
const FROZEN = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/** Whether an object of this class cannot be read before it was thawed. */
export function isFrozen(storageClass: string): boolean {
  return FROZEN.has(storageClass);
}

/** What to know about the chosen storage class: that it is charged longer than kept, that it cannot be read at once. */
export function storageClassWarnings(settings: Settings): string[] {
  if (settings.destination.kind !== 's3') return [];
  const { storageClass } = settings.destination.s3;
  const { daysRetained } = settings.content;
  const warnings: string[] = [];
  if (storageClass === undefined) return warnings;
  const minimum = MINIMUM_DAYS.get(storageClass) ?? 0;
  if (minimum > daysRetained)
    warnings.push(
      `[s3] storage_class = ${storageClass} is charged for ${minimum} days at least, ` +
        `while [content] days_retained = ${daysRetained} keeps what is no longer used for less`,
    );
  if (isFrozen(storageClass))
    warnings.push(
      `[s3] storage_class = ${storageClass} cannot be read at once: ` +
        'a restore must first ask for each object to be thawed, which takes hours and is charged',
    );
  return warnings;
}
