import { parseConf } from '../config/conf-file.js';
import { SysbackupError } from '../errors.js';

/** An access key of IAM. */
export interface AccessKey {
  id: string;
  secret: string;
}

/** What a machine needs to know to back up: the key, and where and how. It is what an encrypted file holds. */
export interface CarriedCredentials {
  key: AccessKey;
  bucket: string;
  region: string | undefined;
  endpointUrl: string | undefined;
  mode: string | undefined;
  retentionDays: number | undefined;
  maximumLockDays: number | undefined;
}

/** A credentials file as AWS's own tools read it. */
export function credentialsFile({ id, secret }: AccessKey, profile: string): string {
  return `[${profile}]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`;
}

/**
 * The same with what else a second machine must know, in settings that AWS's tools pass over, so that
 * `ccrypt --cat FILE` gives a credentials file by itself.
 */
export function carriedText(carried: CarriedCredentials): string {
  const { key, bucket, region, endpointUrl, mode, retentionDays, maximumLockDays } = carried;
  const more: [string, string | number | undefined][] = [
    ['region', region],
    ['s3_sysbackup_bucket', bucket],
    ['s3_sysbackup_endpoint_url', endpointUrl],
    ['s3_sysbackup_mode', mode],
    ['s3_sysbackup_days', retentionDays],
    ['s3_sysbackup_maximum_days', maximumLockDays],
  ];
  const lines = more.flatMap(([name, value]) => (value === undefined ? [] : [`${name} = ${value}\n`]));
  return credentialsFile(key, 'default') + lines.join('');
}

/** Reads {@link carriedText}, or a plain credentials file. Throws CONFIG. */
export function readCarried(text: string, file: string): Partial<CarriedCredentials> & { key: AccessKey } {
  const settings = sectionsOf(text, file).get('default')?.settings;
  const value = (name: string): string | undefined => settings?.get(name)?.value || undefined;
  const id = value('aws_access_key_id');
  const secret = value('aws_secret_access_key');
  if (id === undefined || secret === undefined)
    throw new SysbackupError('CONFIG', `${file} holds no access key`, {
      hint: 'It needs a section [default] with aws_access_key_id and aws_secret_access_key.',
    });
  const number = (name: string): number | undefined => {
    const written = value(name);
    return written !== undefined && /^\d{1,5}$/.test(written) ? Number(written) : undefined;
  };
  const bucket = value('s3_sysbackup_bucket');
  return {
    key: { id, secret },
    ...(bucket === undefined ? {} : { bucket }),
    region: value('region'),
    endpointUrl: value('s3_sysbackup_endpoint_url'),
    mode: value('s3_sysbackup_mode'),
    retentionDays: number('s3_sysbackup_days'),
    maximumLockDays: number('s3_sysbackup_maximum_days'),
  };
}

function sectionsOf(text: string, file: string): ReturnType<typeof parseConf>['sections'] {
  try {
    return parseConf(text, file).sections;
  } catch (cause) {
    // Its message would show a line, and with it a key.
    throw new SysbackupError('CONFIG', `${file} holds no credentials file`, { cause });
  }
}
