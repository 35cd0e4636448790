import type { LifecycleRule } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { lifecycleWarnings } from '#src/aws/lifecycle.js';

const BOTH = { Expiration: { Days: 14 }, NoncurrentVersionExpiration: { NoncurrentDays: 1 } };
const rule = (more: Partial<LifecycleRule>): LifecycleRule => ({ Status: 'Enabled', ...more });
const warningsOf = (...rules: LifecycleRule[]): string[] => lifecycleWarnings(rules, 'hosts/');

describe('lifecycle rules', () => {
  it.each<[string, LifecycleRule[]]>([
    ['for all keys', [rule({ ...BOTH, Filter: { Prefix: '' } })]],
    ['in the old form', [rule({ ...BOTH, Prefix: 'hosts/' })]],
    ['in two rules', [rule({ Expiration: { Days: 1 } }), rule({ NoncurrentVersionExpiration: {} })]],
    [
      'one for each kind of key',
      ['content', 'bundles', 'snapshots', 'manifests'].map((kind) =>
        rule({ ...BOTH, Prefix: `hosts/${kind}` }),
      ),
    ],
    [
      'beside transitions that leave all readable',
      [rule({ ...BOTH, Transitions: [{ Days: 30, StorageClass: 'GLACIER_IR' }] })],
    ],
    [
      'beside transitions of what is not ours',
      [
        rule(BOTH),
        rule({ Prefix: 'logs/', Transitions: [{ StorageClass: 'GLACIER' }] }),
        rule({ Status: 'Disabled', Transitions: [{ StorageClass: 'GLACIER' }] }),
        rule({ Filter: { Tag: { Key: 'a', Value: 'b' } }, Transitions: [{ StorageClass: 'GLACIER' }] }),
      ],
    ],
  ])('that end what has lapsed are nothing to say: %s', (_, rules) => {
    expect(warningsOf(...rules)).toEqual([]);
  });

  it.each<[string, LifecycleRule[]]>([
    ['none', []],
    ['one that is switched off', [rule({ ...BOTH, Status: 'Disabled' })]],
    ['one for other keys', [rule({ ...BOTH, Prefix: 'logs/' })]],
    ['one for some of ours', [rule({ ...BOTH, Filter: { Prefix: 'hosts/content/' } })]],
    ['one for what has a tag', [rule({ ...BOTH, Filter: { And: { Tags: [{ Key: 'a', Value: 'b' }] } } })]],
    ['one for large objects', [rule({ ...BOTH, Filter: { And: { Prefix: '', ObjectSizeGreaterThan: 9 } } })]],
    ['one for current versions only', [rule({ Expiration: { Days: 14 } })]],
    ['one for uploads only', [rule({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } })]],
  ])('that end no noncurrent versions are a warning: %s', (_, rules) => {
    expect(warningsOf(...rules)).toEqual([expect.stringMatching(/^nothing removes what has lapsed: /)]);
  });

  it.each<LifecycleRule['Expiration']>([undefined, { ExpiredObjectDeleteMarker: true }])(
    'that leave current versions as they are (%o) are a warning',
    (Expiration) => {
      const rules = rule({ NoncurrentVersionExpiration: { NoncurrentDays: 1 }, Expiration });
      expect(warningsOf(rules)).toEqual([expect.stringMatching(/^what nobody renews stays: /)]);
    },
  );

  it.each<[string, LifecycleRule]>([
    ['of all', rule({ Transitions: [{ Days: 1, StorageClass: 'DEEP_ARCHIVE' }] })],
    ['of noncurrent versions', rule({ NoncurrentVersionTransitions: [{ StorageClass: 'GLACIER' }] })],
    ['of some of ours', rule({ Prefix: 'hosts/content/ab', Transitions: [{ StorageClass: 'GLACIER' }] })],
    [
      'of large objects',
      rule({ Filter: { ObjectSizeGreaterThan: 1e6 }, Transitions: [{ StorageClass: 'GLACIER' }] }),
    ],
  ])('that move objects to a class that must be thawed are a warning: %s', (_, moving) => {
    expect(warningsOf(rule(BOTH), moving)).toEqual([
      expect.stringMatching(/moves objects to (GLACIER|DEEP_ARCHIVE): .*thawed/),
    ]);
  });
});
