import { documentPath } from '../documents.js';
import { messageOf, SysbackupError } from '../errors.js';

/** Names of the errors by which AWS's services and its SDK say that nobody, or the wrong one, asks. */
const HINTS = new Map<string, string>([
  ...['CredentialsProviderError', 'TokenProviderError', 'ProviderError'].map(
    (name) => [name, 'Name a profile or a credentials file in [aws], or give the machine a role.'] as const,
  ),
  ...['InvalidAccessKeyId', 'InvalidClientTokenId', 'UnrecognizedClientException', 'AuthFailure'].map(
    (name) =>
      [
        name,
        'The access key is not known there: see that it is spelled right, exists and is active.',
      ] as const,
  ),
  ['SignatureDoesNotMatch', 'The secret key does not belong to the access key.'],
  ...['ExpiredToken', 'ExpiredTokenException', 'InvalidToken'].map(
    (name) =>
      [name, 'The session has ended: log in again, or use credentials that renew themselves.'] as const,
  ),
  ...['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation', 'Forbidden'].map(
    (name) => [name, `What each command needs is in ${documentPath('permissions.md')}`] as const,
  ),
  ...['RequestTimeTooSkewed', 'RequestExpired'].map(
    (name) =>
      [name, "Set this machine's clock: requests carry its time and are refused when it is wrong."] as const,
  ),
]);

/**
 * An error of AWS's SDK as one of ours, `message` beginning with what was being done: `ACCESS_DENIED` for lack of
 * rights or wrong credentials, `CONFIG` for a missing region, else `STORE_FAILED`. Ours come back as they are.
 * `hint` says what would give the rights or the credentials that lack; a wrong key, clock or session has its own.
 */
export function explainAwsError(error: unknown, doing: string, hint?: string): SysbackupError {
  if (error instanceof SysbackupError) return error;
  const message = messageOf(error);
  const name = error instanceof Error ? error.name : 'Error';
  if (/region is missing/i.test(message))
    return new SysbackupError('CONFIG', `${doing}: no region is known`, {
      hint: 'Set region in [s3] or [cloudformation], AWS_REGION in the environment, or a region in the profile.',
      cause: error,
    });
  const known = HINTS.get(name);
  const said = name === 'Error' || known === undefined || isOwnName(name) ? message : `${message} (${name})`;
  return new SysbackupError(known === undefined ? 'STORE_FAILED' : 'ACCESS_DENIED', `${doing}: ${said}`, {
    ...(known === undefined ? {} : { hint: isLackOfRights(name) ? (hint ?? known) : known }),
    cause: error,
  });
}

function isLackOfRights(name: string): boolean {
  return isOwnName(name) || /^(AccessDenied|UnauthorizedOperation|Forbidden)/.test(name);
}

/** Names that the SDK made up, which no documentation of a service has. */
function isOwnName(name: string): boolean {
  return name.endsWith('ProviderError');
}
