import { createRequire } from 'node:module';

/** Of the SDK's insides. */
interface Core {
  state?: { warningEmitted: boolean };
}

/** What the SDK says to nobody. Without `info`: it gathers what it would say of each request by that, heard or not. */
export const SILENT = { trace() {}, debug() {}, warn() {}, error() {} };

/**
 * Has the SDK keep to itself which Node.js it would rather run on. It says so once, on standard error, when it makes its
 * first client, unless an environment variable forbids it; the process's environment is not ours to change. To be
 * called before a client is made.
 */
export function quietSdk(): void {
  try {
    // The copy of the package that the clients use.
    const ofSdk = createRequire(createRequire(import.meta.url).resolve('@aws-sdk/client-s3'));
    const { state } = ofSdk('@aws-sdk/core/client') as Core;
    if (state !== undefined) state.warningEmitted = true;
  } catch {
    // An SDK that is built otherwise: a warning more is no reason to fail.
  }
}
