import type { Parameter } from '@aws-sdk/client-cloudformation';
import { SysbackupError } from '../errors.js';

/** What the template is filled in with; what is left out has the template's default. */
export interface ResourceParameters {
  /** What the names of roles, groups and policies begin with. Default `s3-sysbackup`. */
  packageName?: string | undefined;
  /** Default: CloudFormation makes one up. */
  bucketName?: string | undefined;
  /** Under which name the stack exports the bucket's. Default `backup-bucket`. */
  exportName?: string | undefined;
  /** Default GOVERNANCE. */
  mode?: 'GOVERNANCE' | 'COMPLIANCE' | undefined;
  /** Days after which what is not locked goes. Default 14. */
  retentionDays?: number | undefined;
  /** The longest lock that the bucket takes, in days. Default 100. */
  maximumLockDays?: number | undefined;
  /** Of the key to encrypt with; empty: S3's own. */
  kmsKeyArn?: string | undefined;
}

type Name = keyof ResourceParameters;

const KEYS: Record<Name, string> = {
  packageName: 'PackageName',
  bucketName: 'BucketName',
  exportName: 'ExportName',
  mode: 'RetentionMode',
  retentionDays: 'RetentionDays',
  maximumLockDays: 'MaximumLockDays',
  kmsKeyArn: 'KmsKeyArn',
};

interface Rule {
  pattern: RegExp;
  what: string;
  allowed: string;
}

const DAYS = { pattern: /^(?:[1-9]\d{0,3}|[12]\d{4}|3[0-5]\d{3}|36[0-4]\d{2}|36500)$/ };

/** The template's own rules, so that what it would refuse is refused before anything is sent. */
const RULES: Record<Name, Rule> = {
  packageName: {
    // A role's name has 64 characters, and `-restore` stands behind this.
    pattern: /^[A-Za-z][A-Za-z0-9-]{0,49}$/,
    what: 'the package name',
    allowed: 'It has 1 to 50 letters, digits and hyphens, a letter first.',
  },
  bucketName: {
    pattern: /^(?!xn--|sthree-)(?!.*(?:-s3alias|--ol-s3)$)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
    what: 'the bucket name',
    allowed: 'It has 3 to 63 small letters, digits and hyphens, and neither begins nor ends with a hyphen.',
  },
  exportName: {
    pattern: /^[A-Za-z0-9:-]{1,255}$/,
    what: 'the name of the export',
    allowed: 'It has letters, digits, colons and hyphens.',
  },
  mode: {
    pattern: /^(?:GOVERNANCE|COMPLIANCE)$/,
    what: 'the retention mode',
    allowed: 'It is GOVERNANCE or COMPLIANCE.',
  },
  retentionDays: { ...DAYS, what: 'the number of days', allowed: 'It is a whole number from 1 to 36500.' },
  maximumLockDays: {
    ...DAYS,
    what: 'the longest lock in days',
    allowed: 'It is a whole number from 9 to 36500.',
  },
  kmsKeyArn: {
    pattern: /^(?:arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+)?$/,
    what: 'the KMS key',
    allowed: 'It is an ARN like arn:aws:kms:eu-central-1:123456789012:key/…, of the key and not of an alias.',
  },
};

/** Throws USAGE where AWS would refuse a value, or where the bucket would refuse each backup. */
export function checkParameters(parameters: ResourceParameters): void {
  for (const [name, { pattern, what, allowed }] of rules()) {
    const value = parameters[name];
    if (value !== undefined && !pattern.test(String(value)))
      throw new SysbackupError('USAGE', `AWS cannot take ${what} ${JSON.stringify(String(value))}`, {
        hint: allowed,
      });
  }
  const days = parameters.retentionDays ?? DEFAULT_DAYS;
  const longest = parameters.maximumLockDays ?? DEFAULT_MAXIMUM;
  const needed = longestLock(days, {});
  if (longest < needed)
    throw new SysbackupError(
      'USAGE',
      `with ${days} days of retention locks last up to ${needed} days, and the bucket would take ${longest}`,
      { hint: `Allow ${needed} days at least: --max-lock-days ${needed}.` },
    );
}

function rules(): [Name, Rule][] {
  return NAMES.map((name) => [name, RULES[name]]);
}

const NAMES: readonly Name[] = [
  'packageName',
  'bucketName',
  'exportName',
  'mode',
  'retentionDays',
  'maximumLockDays',
  'kmsKeyArn',
];

const DEFAULT_DAYS = 14;
const DEFAULT_MAXIMUM = 100;
const PERIODS = { weekly: 7, monthly: 31, yearly: 366 } as const;

/**
 * The longest lock in days that runs with these settings ask for: retention and its slack (half of it, at least 7
 * days), each class with two of its periods, and a day for rounding.
 */
export function longestLock(
  daysRetained: number,
  classes: { weekly?: number; monthly?: number; yearly?: number },
): number {
  const base = daysRetained + Math.max(7, Math.ceil(daysRetained / 2));
  const kept = (['weekly', 'monthly', 'yearly'] as const).map((name) => {
    const days = classes[name];
    return days === undefined ? 0 : days + 2 * PERIODS[name];
  });
  return Math.max(base, ...kept) + 1;
}

/** As CloudFormation takes them: those that are given. */
export function toCloudFormation(parameters: ResourceParameters): Parameter[] {
  return NAMES.flatMap((name) => {
    const value = parameters[name];
    return value === undefined ? [] : [{ ParameterKey: KEYS[name], ParameterValue: String(value) }];
  });
}

/** `<parameter> is <value>, not <wanted>` for the first that a stack has otherwise than asked for. */
export function firstDifference(
  asked: ResourceParameters,
  stack: ReadonlyMap<string, string>,
): string | undefined {
  for (const { ParameterKey = '', ParameterValue = '' } of toCloudFormation(asked)) {
    const current = stack.get(ParameterKey);
    if (current !== undefined && current !== ParameterValue)
      return `its ${ParameterKey} is ${current === '' ? 'empty' : current}, not ${ParameterValue}`;
  }
  return undefined;
}
