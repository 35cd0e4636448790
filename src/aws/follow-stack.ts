import { setTimeout as pause } from 'node:timers/promises';
import type { CloudFormationClient, StackEvent } from '@aws-sdk/client-cloudformation';
import { SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import { explainAwsError } from './explain.js';
import { describeStack, isMoving, type StackState } from './stack.js';

export interface FollowOptions {
  onEvent?: EventListener | undefined;
  signal?: AbortSignal | undefined;
  /** Milliseconds between two questions. Default 2000. */
  pollMs?: number | undefined;
}

/** The first thing that went wrong. */
export interface FailedResource {
  name: string;
  type: string;
  reason: string;
}

export interface FollowedStack {
  /** Undefined where it was deleted meanwhile. */
  stack: StackState | undefined;
  failed: FailedResource | undefined;
}

const POLL_MS = 2000;

/** What CloudFormation says of resources that it gave up because another one failed. */
const CANCELLED = /cancelled/i;

/** Tells of a stack's events in their order, each once. */
export class StackFollower {
  readonly #client: CloudFormationClient;
  readonly #options: FollowOptions;
  readonly #seen = new Set<string>();
  #failed: FailedResource | undefined;
  /** Why all is taken back, where no single resource is to blame: an export's name that is taken. */
  #rollback: FailedResource | undefined;

  constructor(client: CloudFormationClient, options: FollowOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Takes what has happened so far for known. */
  async skip(stack: StackState): Promise<void> {
    for (const { EventId = '' } of await this.#fresh(stack)) this.#seen.add(EventId);
  }

  /** Waits until CloudFormation has done with the stack. Throws ABORTED: the work there goes on all the same. */
  async follow(stack: StackState): Promise<FollowedStack> {
    const { signal, pollMs = POLL_MS } = this.#options;
    for (;;) {
      // Asked before the events, so that those of the end are not missed.
      const now = await describeStack(this.#client, stack.id);
      for (const event of (await this.#fresh(stack)).reverse()) this.#tell(event);
      if (now === undefined || !isMoving(now)) {
        const named = now === undefined ? undefined : { ...now, name: stack.name };
        return { stack: named, failed: this.#failed ?? this.#rollback };
      }
      throwIfAborted(signal);
      await pause(pollMs, undefined, signal === undefined ? {} : { signal }).catch(() =>
        throwIfAborted(signal),
      );
    }
  }

  /** Events not told of yet, the newest first, as they come. */
  async #fresh(stack: StackState): Promise<StackEvent[]> {
    const { paginateDescribeStackEvents } = await import('@aws-sdk/client-cloudformation');
    const fresh: StackEvent[] = [];
    try {
      for await (const page of paginateDescribeStackEvents(
        { client: this.#client },
        { StackName: stack.id },
      )) {
        for (const event of page.StackEvents ?? []) {
          if (this.#seen.has(event.EventId ?? '')) return fresh;
          fresh.push(event);
        }
      }
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot read the events of the stack ${stack.name}`,
        'It takes cloudformation:DescribeStackEvents.',
      );
    }
    return fresh;
  }

  #tell(event: StackEvent): void {
    this.#seen.add(event.EventId ?? '');
    const { LogicalResourceId: name = '?', ResourceType: type = '?', ResourceStatus: status = '?' } = event;
    const { ResourceStatusReason: reason } = event;
    const failed = status.endsWith('_FAILED');
    if (failed && this.#failed === undefined && !CANCELLED.test(reason ?? ''))
      this.#failed = { name, type, reason: reason ?? 'CloudFormation gives no reason' };
    if (status.endsWith('ROLLBACK_IN_PROGRESS') && reason !== undefined)
      this.#rollback ??= { name, type, reason };
    this.#options.onEvent?.({
      type: 'log',
      level: failed ? 'warning' : 'info',
      message: `${status.padEnd(18)} ${type} ${name}${reason === undefined || reason === '' ? '' : `: ${reason}`}`,
    });
  }
}

/** The error that names what failed first. `what`: `could not be made`. */
export function stackFailure({ stack, failed }: FollowedStack, name: string, what: string): SysbackupError {
  const status = stack === undefined ? 'it is gone' : stack.status;
  const reason =
    failed === undefined
      ? (stack?.reason ?? 'CloudFormation gives no reason')
      : `${failed.type} ${failed.name}: ${failed.reason}`;
  const denied = /AccessDenied|not authorized|Access Denied/i.test(reason);
  return new SysbackupError(
    denied ? 'ACCESS_DENIED' : 'STORE_FAILED',
    `the stack ${name} ${what} (${status}): ${reason}`,
    { hint: denied ? 'Run this as somebody with administrator rights.' : hintFor(failed) },
  );
}

function hintFor(failed: FailedResource | undefined): string {
  const { type = '', reason = '' } = failed ?? {};
  if (/already exported/.test(reason)) return 'Choose another name with --export, and run it again.';
  if (!/already exists|not available|Duplicate/i.test(reason)) return 'Mend that, and run it again.';
  return type === 'AWS::S3::Bucket'
    ? 'Bucket names are unique in all of AWS: choose another --bucket-name, and run it again.'
    : 'Choose another --package-name (and --export), or remove what has that name, and run it again.';
}
