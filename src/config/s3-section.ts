import type { SettingReader } from './setting-reader.js';
import type { S3Settings } from './settings.js';
import { isAmazonEndpoint } from './endpoint.js';
import { confPath } from './conf-path.js';
import { STORAGE_CLASSES } from './storage-class.js';
import { listed, oneOf, text, type ValueKind, YES_OR_NO } from './value-kinds.js';
import type { ConfSurroundings } from './surroundings.js';

/** S3-compatible servers and old buckets take more than AWS gives out today. */
const BUCKET = text(
  'the name of a bucket alone (letters, digits, dots, hyphens and underscores), or the ARN of an access point',
  /^(?:[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]|arn:[!-~]+)$/i,
);
const REGION = text('the name of a region, like eu-central-1', /^[a-z0-9][a-z0-9_-]{0,62}$/i);
const EXPORT = text(
  'the name of a CloudFormation export (letters, digits, colons and hyphens)',
  /^[a-z0-9:-]{1,255}$/i,
);
const PROFILE = text('the name of a profile', /^[^\p{Cc}\]]+$/u);
const ROLE = text(
  'the ARN of a role, like arn:aws:iam::123456789012:role/backup',
  /^arn:[^:\s]+:iam::[^:\s]*:role\/\S+$/,
);

const ENDPOINT: ValueKind<string> = {
  allowed: 'a URL that begins with http:// or https:// and names a server, without user, query or fragment',
  read: (written) => {
    if (!/^https?:\/\/[^/?#\s]/i.test(written) || !URL.canParse(written)) return undefined;
    const { username, password, search, hash, href } = new URL(written);
    return username + password + search + hash === '' ? href.replace(/\/+$/, '') : undefined;
  },
};

/** A key has 1,024 bytes at most; what stands behind the prefix takes up to 400. */
const MAX_PREFIX = 512;

const PREFIX: ValueKind<string> = {
  allowed:
    `a path like hosts/web without a slash at its beginning, without empty, "." or ".." parts, ` +
    `at most ${MAX_PREFIX} bytes long`,
  read: (written) => {
    const parts = written.replace(/\/$/, '').split('/');
    if (written === '') return '';
    if (parts.some((part) => ['', '.', '..'].includes(part)) || /\p{Cc}/u.test(written)) return undefined;
    const prefix = `${parts.join('/')}/`;
    return Buffer.byteLength(prefix) <= MAX_PREFIX ? prefix : undefined;
  },
};

/** `[s3]`, `[aws]` and `[cloudformation]`. */
export function readS3Sections(reader: SettingReader, around: ConfSurroundings): S3Settings {
  const bucket = reader.optional('s3', 'bucket', BUCKET);
  const endpointUrl = reader.optional('s3', 'endpoint_url', ENDPOINT);
  const region = reader.optional('s3', 'region', REGION);
  const prefix = reader.value('s3', 'prefix', PREFIX, '');
  const storageClass = reader.optional('s3', 'storage_class', storageClassAt(endpointUrl));
  const forcePathStyle = reader.value('s3', 'force_path_style', YES_OR_NO, !isAmazonEndpoint(endpointUrl));
  const requireObjectLock = reader.value('s3', 'require_object_lock', YES_OR_NO, true);
  const cloudFormation = readCloudFormation(reader);
  return {
    ...(bucket === undefined ? {} : { bucket }),
    ...(endpointUrl === undefined ? {} : { endpointUrl }),
    ...(region === undefined ? {} : { region }),
    prefix,
    ...(storageClass === undefined ? {} : { storageClass }),
    forcePathStyle,
    requireObjectLock,
    aws: readAws(reader, around),
    cloudFormation,
  };
}

/** Servers other than AWS's have classes of their own. */
function storageClassAt(endpointUrl: string | undefined): ValueKind<string> {
  if (isAmazonEndpoint(endpointUrl)) return oneOf(STORAGE_CLASSES);
  const allowed = `the name of one of the server's storage classes, like ${listed(STORAGE_CLASSES)}`;
  return text(allowed, /^[\w.-]{1,128}$/);
}

function readCloudFormation(reader: SettingReader): S3Settings['cloudFormation'] {
  const region = reader.optional('cloudformation', 'region', REGION);
  const name = reader.value('cloudformation', 'export', EXPORT, 'backup-bucket');
  return region === undefined ? { export: name } : { region, export: name };
}

function readAws(reader: SettingReader, around: ConfSurroundings): S3Settings['aws'] {
  let profile = reader.optional('aws', 'profile', PROFILE);
  const fromEnvironment = around.env['AWS_PROFILE'];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    profile = fromEnvironment;
    reader.override('aws', 'profile', profile, 'environment AWS_PROFILE');
  }
  const credentialsFile = reader.optional('aws', 'credentials_file', confPath(around));
  const roleArn = reader.optional('aws', 'role_arn', ROLE);
  const aws: S3Settings['aws'] = {};
  if (profile !== undefined) aws.profile = profile;
  if (credentialsFile !== undefined) aws.credentialsFile = credentialsFile;
  if (roleArn !== undefined && credentialsFile !== undefined) aws.roleArn = roleArn;
  if (roleArn !== undefined && credentialsFile === undefined)
    reader.warn(
      `${reader.placeOf('aws', 'role_arn')} is ignored: it counts only beside credentials_file; ` +
        'a profile of the AWS configuration can name a role of its own',
    );
  return aws;
}
