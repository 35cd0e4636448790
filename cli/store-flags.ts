import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Settings, SysbackupError } from '../src/index.js';

/** Options that name a store where there is no conf. */
export interface StoreFlags {
  bucket?: string;
  endpointUrl?: string;
  region?: string;
  profile?: string;
  prefix?: string;
  directory?: string;
  cfRegion?: string;
  export?: string;
}

type Destination = Settings['destination'];

const DEFAULT_EXPORT = 'backup-bucket';

export function addStoreOptions(command: Command): void {
  command
    .optionsGroup('The store, where no conf names it (--profile: also beside a conf):')
    .option('--bucket <name>', 'a bucket')
    .option('--endpoint-url <url>', 'of a server other than AWS')
    .option('--region <region>', 'of the bucket')
    .option('--profile <profile>', 'of the AWS configuration')
    .option('--prefix <prefix>', 'what all keys in the bucket begin with')
    .option('--directory <path>', 'a directory')
    .option('--cf-region <region>', 'of the CloudFormation export that names the bucket')
    .option('--export <name>', `that export (default: ${DEFAULT_EXPORT})`);
}

/**
 * The store that these options name; undefined where none does, so that the conf counts. Throws USAGE where they
 * name several, or only say how to reach one.
 */
export function destinationOf(flags: StoreFlags, workingFolder: string): Destination | undefined {
  const { directory, bucket, cfRegion } = flags;
  const given = [
    ...(directory === undefined ? [] : ['--directory']),
    ...(bucket === undefined ? [] : ['--bucket']),
    ...(cfRegion === undefined && flags.export === undefined ? [] : ['--export']),
  ];
  const reach = (
    [
      ['endpointUrl', '--endpoint-url'],
      ['region', '--region'],
      ['profile', '--profile'],
      ['prefix', '--prefix'],
    ] as const
  )
    .filter(([name]) => flags[name] !== undefined)
    .map(([, option]) => option);
  if (given.length > 1)
    throw new SysbackupError('USAGE', `${given.join(' and ')} name several stores`, {
      hint: 'Name one.',
    });
  if (directory !== undefined && reach[0] !== undefined)
    throw new SysbackupError('USAGE', `${reach[0]} has no meaning beside --directory`);
  // A profile alone is for the conf's store.
  const alone = reach.find((option) => option !== '--profile');
  if (given.length === 0 && alone !== undefined)
    throw new SysbackupError('USAGE', `${alone} alone names no store`, {
      hint: 'Name the bucket too, with --bucket, or with --cf-region and --export.',
    });
  if (given.length === 0) return undefined;
  if (directory !== undefined) return { kind: 'directory', path: resolve(workingFolder, directory) };
  return bucketOf(flags);
}

function bucketOf(flags: StoreFlags): Destination {
  const { bucket, endpointUrl, region, profile, prefix, cfRegion } = flags;
  const amazon = endpointUrl === undefined || /\.amazonaws\.com(\.cn)?(?=[:/]|$)/.test(endpointUrl);
  return {
    kind: 's3',
    s3: {
      ...(bucket === undefined ? {} : { bucket }),
      ...(endpointUrl === undefined ? {} : { endpointUrl: checkedUrl(endpointUrl) }),
      ...(region === undefined ? {} : { region }),
      prefix: prefix === undefined || prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`,
      forcePathStyle: !amazon,
      requireObjectLock: true,
      aws: profile === undefined ? {} : { profile },
      cloudFormation: {
        ...(cfRegion === undefined ? {} : { region: cfRegion }),
        export: flags.export ?? DEFAULT_EXPORT,
      },
    },
  };
}

function checkedUrl(url: string): string {
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return url;
  throw new SysbackupError('USAGE', `--endpoint-url ${url} is no URL`, {
    hint: 'It begins with http:// or https://, like https://s3.example.net.',
  });
}
