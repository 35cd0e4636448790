/**
 * `user@host` as the name of an STS session, which shows in CloudTrail and in an assumed role's ARN: 2 to 64 of
 * letters, digits and `_+=,.@-`
 * (https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html). What is not allowed becomes `-`.
 */
export function sessionName(userAtHost: string): string {
  const cleaned = userAtHost.replaceAll(/[^\w+=,.@-]+/g, '-').slice(0, 64);
  return cleaned.length < 2 ? `${cleaned}-s3-sysbackup`.replace(/^-/, '') : cleaned;
}
