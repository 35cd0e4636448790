import { documentPath } from '../documents.js';
import { abortedError, errnoOf, messageOf, SysbackupError } from '../errors.js';
import { FrozenObjectError } from './cold.js';
import { NotS3Answer } from './not-s3-answer.js';
import { noSuchVersion, StoreError } from './store-error.js';

/** What was being done, for messages and hints. */
export interface S3Action {
  /** `storing`, `reading`: with the key after it. */
  doing: string;
  key?: string;
  version?: string;
  /** The rights it takes. */
  rights: string;
  /** It reads what is stored, which the key that backs up is not to do. */
  isRead?: boolean;
}

export interface S3ErrorContext {
  /** `s3://bucket/prefix`. */
  store: string;
  endpoint: string | undefined;
  /** Whether this store has ever answered: a name that cannot be resolved may come back then. */
  hasAnswered: boolean;
  aborted: boolean;
}

const CREDENTIALS = new Map([
  [
    'InvalidAccessKeyId',
    'The access key is not known there: is it the right profile, and the right endpoint?',
  ],
  ['SignatureDoesNotMatch', 'The secret key does not belong to the access key, or a proxy changes requests.'],
  ['InvalidToken', 'The session token is not valid there.'],
  ['ExpiredToken', 'The credentials have run out: log in anew, or let the role be assumed anew.'],
  ['ExpiredTokenException', 'The credentials have run out: log in anew, or let the role be assumed anew.'],
  ['TokenRefreshRequired', 'The credentials have run out: log in anew, or let the role be assumed anew.'],
  [
    'CredentialsProviderError',
    'Set a profile, a credentials file or a role in [aws], or the AWS_… variables.',
  ],
]);
const DENIED = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AllAccessDisabled',
  'Forbidden',
  'AccountProblem',
]);
const MISSING = new Set(['NoSuchKey', 'NoSuchVersion', 'NotFound', 'MethodNotAllowed', 'NoSuchUpload']);
const OTHER_REGION = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
/** Of S3's error codes those that pass; any status from 500 on does too. */
const PASSING = new Set([
  'BadDigest',
  'ClientDisconnected',
  'IncompleteBody',
  'InternalError',
  'MalformedXML', // Ours is well-formed: it was damaged on the way.
  'OperationAborted',
  'RequestTimeout',
  'RequestTimeoutException',
  'ServiceUnavailable',
  'SlowDown',
  'TemporaryRedirect', // Until the name of a new bucket is known everywhere.
  'Throttling',
  'ThrottlingException',
  'XAmzContentSHA256Mismatch',
  'TooManyRequestsException',
  'RequestLimitExceeded',
]);
/** And of those the ones by which a server says that it has too much to do. */
const OVERLOADED = new Set([
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
]);
const NETWORK = new Set(
  (
    'ECONNRESET ECONNREFUSED ECONNABORTED EPIPE ETIMEDOUT EAI_AGAIN ERR_STREAM_PREMATURE_CLOSE EHOSTUNREACH ' +
    'ENETUNREACH ENETDOWN EHOSTDOWN ENETRESET EADDRNOTAVAIL EPROTO'
  ).split(' '),
);

/** An answer did not come, or not to its end, within a limit of this library. */
export class NotInTime extends Error {
  override readonly name = 'TimeoutError';

  constructor(ms: number) {
    super(`not within ${ms / 1000} s`);
  }
}

/** Often enough for one wrong `Date` to be put right by the one after it. */
const MOST_REPEATS_FOR_TIME = 2;

/** What the SDK's errors carry beside name and message. */
interface SdkError extends Error {
  $metadata?: { httpStatusCode?: number; requestId?: string; clockSkewCorrected?: boolean };
  $response?: { statusCode?: number; headers?: Record<string, string> };
}

/** S3's own name of an error (`SlowDown`), as far as there is one. */
export function s3ErrorName(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** The error of this library that says what went wrong in a request, and whether it may pass. */
export function storeErrorOfS3(thrown: unknown, action: S3Action, context: S3ErrorContext): SysbackupError {
  if (thrown instanceof SysbackupError) return thrown;
  const { $metadata, $response } = (thrown instanceof Error ? thrown : {}) as Partial<SdkError>;
  const error = withoutRequest(thrown);
  if (context.aborted || s3ErrorName(error) === 'AbortError') return abortedError(error);
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  const name = status === 403 && isUnnamed(error) ? 'Forbidden' : s3ErrorName(error);
  const what = `${action.doing}${action.key === undefined ? '' : ` ${action.key}`} in ${context.store}`;

  if (thrown instanceof NotS3Answer)
    return new StoreError('STORE_FAILED', `${what} failed: ${thrown.message}`, {
      cause: error,
      retryable: true,
      unanswered: !context.hasAnswered,
      hint: 'Something between here and the store answers in its place: a login page of the network, a proxy?',
    });
  if (name === 'RequestTimeTooSkewed') return skewedClocks(error, what, $response?.headers);
  // The SDK signs the next attempt by the time of this refusal.
  const otherTime =
    $metadata?.clockSkewCorrected === true ? { retryable: true, mostRepeats: MOST_REPEATS_FOR_TIME } : {};
  const credentials = CREDENTIALS.get(name);
  if (credentials !== undefined)
    return new StoreError('ACCESS_DENIED', `access denied ${what}: ${messageOf(error)} (${name})`, {
      cause: error,
      hint: credentials,
      ...otherTime,
    });
  if (DENIED.has(name))
    return new StoreError('ACCESS_DENIED', `access denied ${what} (${name})`, {
      cause: error,
      hint: hintForRefusal(action),
      ...otherTime,
    });
  if (name === 'InvalidObjectState') return new FrozenObjectError(what, storageClassIn(thrown), error);
  if (name === 'NoSuchBucket')
    return new StoreError('NOT_FOUND', `there is no bucket at ${context.store}`, {
      cause: error,
      hint: `Check the bucket's name${context.endpoint === undefined ? '' : ` and the endpoint ${context.endpoint}`}.`,
    });
  if (action.version !== undefined && action.key !== undefined && isMissing(name, status, error))
    return noSuchVersion(context.store, action.key, action.version, error);
  if (OTHER_REGION.has(name))
    return new StoreError('CONFIG', `${what} failed: ${messageOf(error)} (${name})`, {
      cause: error,
      hint: `Set [s3] region to the bucket's${regionHint($response?.headers)}.`,
    });
  return otherError(error, isUnreadable(thrown, status), name, status, what, $response?.headers, context);
}

function hintForRefusal({ isRead = false, rights }: S3Action): string {
  const document = documentPath('permissions.md');
  if (!isRead) return `The credentials need ${rights}; see ${document}`;
  return (
    'The key that backs up cannot read, by design: use the restore role or profile. ' +
    `The right that is missing is ${rights}; see ${document}`
  );
}

function skewedClocks(error: unknown, what: string, headers: Record<string, string> | undefined): StoreError {
  const here = Date.now();
  const there = Date.parse(headers?.['date'] ?? '');
  const clocks = Number.isNaN(there)
    ? `the store does not say what time it is there, here it is ${secondOf(here)}`
    : `it is ${secondOf(there)} by the store's clock and ${secondOf(here)} by this machine's, ` +
      `${roughly(Math.abs(there - here))} apart`;
  return new StoreError('STORE_FAILED', `${what} failed: ${clocks} (RequestTimeTooSkewed)`, {
    cause: error,
    hint: "Set this machine's clock; if it is right, something between here and the store tells a wrong time.",
    retryable: true,
    mostRepeats: MOST_REPEATS_FOR_TIME,
  });
}

function secondOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function roughly(ms: number): string {
  const minutes = ms / 60_000;
  if (minutes < 120) return `${Math.round(minutes)} minutes`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} hours`;
  const days = minutes / 1440;
  return days < 730 ? `${Math.round(days)} days` : `${(days / 365.25).toFixed(1)} years`;
}

function storageClassIn(error: unknown): string | undefined {
  const found = error instanceof Error && 'StorageClass' in error ? error.StorageClass : undefined;
  return typeof found === 'string' ? found : undefined;
}

/**
 * The error for `cause`: with what S3 said, and without the sockets, signatures and session tokens that hang on the
 * SDK's, since causes are logged.
 */
function withoutRequest(error: unknown): unknown {
  if (!(error instanceof Error) || !('$response' in error || '$metadata' in error)) return error;
  const { $metadata } = error as Partial<SdkError>;
  const code = errnoOf(error);
  return Object.assign(new Error(error.message), {
    name: error.name,
    ...(code === undefined ? {} : { code }),
    status: $metadata?.httpStatusCode,
    requestId: $metadata?.requestId,
  });
}

function otherError(
  error: unknown,
  unreadable: boolean,
  name: string,
  status: number | undefined,
  what: string,
  headers: Record<string, string> | undefined,
  context: S3ErrorContext,
): StoreError {
  const unanswered = !context.hasAnswered;
  if (status === undefined && isNetwork(error)) {
    const reason = errnoOf(error) ?? name;
    return new StoreError(
      'STORE_FAILED',
      `${what} failed: no answer from ${context.endpoint ?? 'the endpoint'}: ${messageOf(error)} (${reason})`,
      {
        cause: error,
        retryable: reason !== 'ENOTFOUND' || context.hasAnswered,
        unanswered,
        hint: 'Check the network, the endpoint and its region.',
      },
    );
  }
  const passing =
    PASSING.has(name) || status === 429 || (status !== undefined && status >= 500 && status !== 501);
  const shown = [status, name === 'Error' ? undefined : name].filter((part) => part !== undefined).join(' ');
  return new StoreError('STORE_FAILED', `${what} failed: ${messageOf(error)} (${shown})`, {
    cause: error,
    // An answer that was cut off or is not S3's (a gateway's page) may be whole the next time.
    retryable: passing || unreadable,
    unanswered,
    overloaded: OVERLOADED.has(name) || status === 429 || status === 503,
    ...retryAfter(headers),
  });
}

function isNetwork(error: unknown): boolean {
  const code = errnoOf(error) ?? '';
  // HPE_…: what came is no HTTP, or has headers without end.
  const isHttp = !code.startsWith('HPE_');
  return NETWORK.has(code) || code === 'ENOTFOUND' || !isHttp || s3ErrorName(error) === 'TimeoutError';
}

/** A HEAD is refused without a body, so nothing says why. */
function isUnnamed(error: unknown): boolean {
  return ['UnknownError', 'Unknown', 'Error', '403', 'S3ServiceException'].includes(s3ErrorName(error));
}

function isMissing(name: string, status: number | undefined, error: unknown): boolean {
  if (MISSING.has(name)) return true;
  if (status === 404 || status === 405) return isUnnamed(error);
  // A version id that was never one of this bucket's.
  return status === 400 && (/version id/i.test(messageOf(error)) || name === 'BadRequest');
}

function isUnreadable(error: unknown, status: number | undefined): boolean {
  if (!(error instanceof Error)) return false;
  return error instanceof SyntaxError || (status === 200 && '$response' in error);
}

function regionHint(headers: Record<string, string> | undefined): string {
  const region = headers?.['x-amz-bucket-region'];
  return region === undefined ? '' : `, ${region}`;
}

function retryAfter(headers: Record<string, string> | undefined): { retryAfterMs?: number } {
  const seconds = Number(headers?.['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}
