import { createRequire } from 'node:module';
import { quietSdk } from './quiet-sdk.js';

export type S3Sdk = typeof import('@aws-sdk/client-s3');

/**
 * The SDK's client for S3, loaded when it is first asked for. It is CommonJS: with `import`, Node reads all of it for
 * the names that it exports before it runs it, and takes 100 ms where `require` takes 63.
 */
export function loadS3Sdk(): S3Sdk {
  quietSdk();
  return createRequire(import.meta.url)('@aws-sdk/client-s3') as S3Sdk;
}
