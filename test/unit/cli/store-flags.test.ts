import { describe, expect, it } from 'vitest';
import { destinationOf } from '#cli/store-flags.js';

describe('the store that options name', () => {
  it('none: the conf counts', () => {
    expect(destinationOf({}, '/here')).toBeUndefined();
  });

  it('a relative directory counts from where the user is', () => {
    expect(destinationOf({ directory: 'a/../b' }, '/here')).toEqual({ kind: 'directory', path: '/here/b' });
  });

  it('a bucket at AWS is named by its host, at other servers by the path', () => {
    const styleAt = (endpointUrl: string | undefined) => {
      const destination = destinationOf(
        endpointUrl === undefined ? { bucket: 'b' } : { bucket: 'b', endpointUrl },
        '/',
      );
      return destination?.kind === 's3' ? destination.s3.forcePathStyle : undefined;
    };
    expect(styleAt(undefined)).toBe(false);
    expect(styleAt('https://s3.eu-central-1.amazonaws.com')).toBe(false);
    expect(styleAt('https://amazonaws.com.example.net')).toBe(true);
    expect(styleAt('http://localhost:7480')).toBe(true);
  });

  it('a prefix ends in one slash', () => {
    for (const prefix of ['hosts/web', 'hosts/web/'])
      expect(destinationOf({ bucket: 'b', prefix }, '/')).toMatchObject({ s3: { prefix: 'hosts/web/' } });
  });

  it('CloudFormation may name the bucket', () => {
    expect(destinationOf({ cfRegion: 'eu-west-1' }, '/')).toMatchObject({
      s3: { cloudFormation: { region: 'eu-west-1', export: 'backup-bucket' } },
    });
    expect(destinationOf({ export: 'other' }, '/')).toMatchObject({
      s3: { cloudFormation: { export: 'other' } },
    });
  });

  it.each([
    [{ bucket: 'b', directory: '/d' }],
    [{ bucket: 'b', export: 'e' }],
    [{ region: 'r' }],
    [{ directory: '/d', profile: 'p' }],
    [{ bucket: 'b', endpointUrl: 'localhost:7480' }],
  ])('%j is refused', (flags) => {
    expect(() => destinationOf(flags, '/')).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
