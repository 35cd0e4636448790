import type { CloudFormationClient, Stack } from '@aws-sdk/client-cloudformation';
import { explainAwsError } from './explain.js';
import { messageOf } from '../errors.js';

/** A CloudFormation stack, as far as it concerns us. */
export interface StackState {
  id: string;
  name: string;
  /** As CloudFormation says it: `CREATE_COMPLETE`. */
  status: string;
  reason: string | undefined;
  parameters: ReadonlyMap<string, string>;
  outputs: ReadonlyMap<string, string>;
}

/** Undefined where there is none of that name. Throws ACCESS_DENIED, CONFIG, STORE_FAILED. */
export async function describeStack(
  client: CloudFormationClient,
  name: string,
): Promise<StackState | undefined> {
  const { DescribeStacksCommand } = await import('@aws-sdk/client-cloudformation');
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: name }));
    const [stack] = Stacks ?? [];
    // A stack asked for by its id is told of for 90 days after its end.
    return stack === undefined || stack.StackStatus === 'DELETE_COMPLETE' ? undefined : stateOf(stack, name);
  } catch (error) {
    // CloudFormation has no error of its own for that.
    if (/does not exist/.test(messageOf(error))) return undefined;
    throw explainAwsError(
      error,
      `cannot ask CloudFormation for the stack ${name}`,
      'It takes cloudformation:DescribeStacks: run this as somebody with administrator rights.',
    );
  }
}

function stateOf(stack: Stack, name: string): StackState {
  return {
    id: stack.StackId ?? name,
    name,
    status: stack.StackStatus ?? 'UNKNOWN',
    reason: stack.StackStatusReason,
    parameters: new Map(
      (stack.Parameters ?? []).map(({ ParameterKey = '', ParameterValue = '' }) => [
        ParameterKey,
        ParameterValue,
      ]),
    ),
    outputs: new Map(
      (stack.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
    ),
  };
}

/** Whether CloudFormation is still at work on it. */
export function isMoving({ status }: StackState): boolean {
  return status.endsWith('_IN_PROGRESS') && status !== 'REVIEW_IN_PROGRESS';
}

/** Whether nothing came of it: such a stack can only be deleted. */
export function isStillborn({ status }: StackState): boolean {
  return ['ROLLBACK_COMPLETE', 'ROLLBACK_FAILED', 'CREATE_FAILED', 'REVIEW_IN_PROGRESS'].includes(status);
}

/** Whether it stands, and can be updated. */
export function isStanding({ status }: StackState): boolean {
  return [
    'CREATE_COMPLETE',
    'UPDATE_COMPLETE',
    'UPDATE_ROLLBACK_COMPLETE',
    'IMPORT_COMPLETE',
    'IMPORT_ROLLBACK_COMPLETE',
  ].includes(status);
}
