import type { Change, CloudFormationClient, DescribeChangeSetOutput } from '@aws-sdk/client-cloudformation';
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { SysbackupError, throwIfAborted } from '../errors.js';
import { cloudFormationOf } from './access.js';
import { type CreateResourcesOptions, DEFAULT_PACKAGE, type ResourcesSummary } from './create-resources.js';
import { explainAwsError } from './explain.js';
import { StackFollower, stackFailure } from './follow-stack.js';
import { checkParameters, type ResourceParameters, toCloudFormation } from './resource-parameters.js';
import { resourceTemplate } from './resource-template.js';
import { describeStack, isMoving, isStanding, type StackState } from './stack.js';
import { checkStackName } from './stack-name.js';

/** One line of a change set. */
export interface ResourceChange {
  action: 'Add' | 'Modify' | 'Remove' | 'Import' | 'Dynamic' | 'SyncWithActual';
  resource: string;
  type: string;
  /** Whether the resource would be made anew: `True`, `False`, or `Conditional` where it depends. */
  replacement: string | undefined;
  /** What of it changes: names of properties, else `Tags`, `Metadata`, … */
  what: readonly string[];
}

/** A parameter that gets another value. */
export interface ParameterChange {
  name: string;
  /** Undefined where the stack's template has it not yet. */
  from: string | undefined;
  to: string;
}

export interface UpdateResourcesOptions extends CreateResourcesOptions {
  /**
   * Shown what would change; only what it agrees to is done. Where no resource changes, the stack's own parameters or
   * outputs do.
   */
  confirm: (changes: readonly ResourceChange[], parameters: readonly ParameterChange[]) => Promise<boolean>;
}

const POLL_MS = 1000;
/** A change set is made within seconds. */
const PATIENCE = 300;

/**
 * Brings the stack to this version's template and to the parameters given; others keep their values. Refuses what
 * would replace or remove the bucket. Throws NOT_FOUND, USAGE, ACCESS_DENIED, STORE_FAILED, ABORTED where `confirm`
 * does not agree.
 */
export async function updateResources(options: UpdateResourcesOptions): Promise<ResourcesSummary> {
  const { parameters = {} } = options;
  const stackName = options.stackName ?? parameters.packageName ?? DEFAULT_PACKAGE;
  checkStackName(stackName);
  const client = await cloudFormationOf(options.access);
  try {
    return await new Update(client, stackName, options).run();
  } finally {
    client.destroy();
  }
}

class Update {
  readonly #client: CloudFormationClient;
  readonly #name: string;
  readonly #options: UpdateResourcesOptions;

  constructor(client: CloudFormationClient, name: string, options: UpdateResourcesOptions) {
    this.#client = client;
    this.#name = name;
    this.#options = options;
  }

  async run(): Promise<ResourcesSummary> {
    const stack = await this.#standing();
    const { parameters = {} } = this.#options;
    checkParameters({ ...numbersOf(stack), ...parameters });
    this.#refuseOtherNames(stack, parameters);
    const template = await resourceTemplate();
    const values = parametersFor(stack, parameters, template);
    const changeSet = await this.#changeSet(template, values);
    let executed = false;
    try {
      const described = await this.#made(changeSet, stack);
      if (described === undefined) return this.#summary(stack, 'unchanged');
      const changes = (described.Changes ?? []).flatMap(changeOf);
      refuseLossOfBucket(changes);
      if (!(await this.#options.confirm(changes, changedParameters(stack, values))))
        throw new SysbackupError('ABORTED', `the stack ${this.#name} was left as it is`);
      throwIfAborted(this.#options.signal);
      const follower = new StackFollower(this.#client, this.#options);
      await follower.skip(stack);
      await this.#execute(changeSet);
      executed = true;
      const followed = await follower.follow(stack);
      if (followed.stack?.status === 'UPDATE_COMPLETE') return this.#summary(followed.stack, 'updated');
      throw stackFailure(followed, this.#name, 'could not be changed');
    } finally {
      if (!executed) await this.#discard(changeSet);
    }
  }

  async #standing(): Promise<StackState> {
    let stack = await describeStack(this.#client, this.#name);
    if (stack !== undefined && isMoving(stack))
      stack = (await new StackFollower(this.#client, this.#options).follow(stack)).stack;
    if (stack === undefined)
      throw new SysbackupError('NOT_FOUND', `there is no stack ${this.#name}`, {
        hint: 'create-resources makes one; see that --cf-region is the one it was made in.',
      });
    if (!isStanding(stack) || !stack.parameters.has('PackageName'))
      throw new SysbackupError(
        'STORE_FAILED',
        `the stack ${this.#name} cannot be updated (${stack.status})`,
        {
          hint: isStanding(stack)
            ? 'It is none of s3-sysbackup.'
            : 'See its events in the CloudFormation console; create-resources makes a new one where none came of it.',
        },
      );
    return stack;
  }

  /** What the bucket or the roles are called is in machines' confs, and the bucket cannot be renamed. */
  #refuseOtherNames(stack: StackState, parameters: ResourceParameters): void {
    const asked = { BucketName: parameters.bucketName, PackageName: parameters.packageName };
    for (const [key, value] of Object.entries(asked)) {
      const bucket = key === 'BucketName' ? stack.outputs.get('BucketName') : undefined;
      const current = stack.parameters.get(key) || bucket;
      if (value !== undefined && value !== current)
        throw new SysbackupError(
          'USAGE',
          `the stack ${this.#name} has the ${key} ${current ?? '(none)'}, which cannot become ${value}`,
          {
            hint: 'Make another package with create-resources: what is locked in the old bucket stays there.',
          },
        );
    }
  }

  async #changeSet(template: string, values: ReadonlyMap<string, string>): Promise<string> {
    const { CreateChangeSetCommand } = await import('@aws-sdk/client-cloudformation');
    try {
      const { Id } = await this.#client.send(
        new CreateChangeSetCommand({
          StackName: this.#name,
          ChangeSetName: `s3-sysbackup-${randomUUID()}`,
          ChangeSetType: 'UPDATE',
          TemplateBody: template,
          Parameters: [...values].map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
          Capabilities: ['CAPABILITY_NAMED_IAM'],
        }),
      );
      return Id ?? '';
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot prepare the change of the stack ${this.#name}`,
        'It takes cloudformation:CreateChangeSet.',
      );
    }
  }

  /** Undefined where nothing would change. */
  async #made(changeSet: string, stack: StackState): Promise<DescribeChangeSetOutput | undefined> {
    const { DescribeChangeSetCommand } = await import('@aws-sdk/client-cloudformation');
    for (let asked = 0; asked < PATIENCE; asked++) {
      throwIfAborted(this.#options.signal);
      const described = await this.#client
        .send(new DescribeChangeSetCommand({ ChangeSetName: changeSet, StackName: stack.id }))
        .catch((error: unknown) => {
          throw explainAwsError(error, `cannot see what would change in the stack ${this.#name}`);
        });
      const { Status, StatusReason = '' } = described;
      if (Status === 'CREATE_COMPLETE') {
        const rest =
          described.NextToken === undefined ? [] : await this.#rest(changeSet, described.NextToken);
        return { ...described, Changes: [...(described.Changes ?? []), ...rest] };
      }
      if (Status === 'FAILED') {
        if (/didn't contain changes|No updates are to be performed/.test(StatusReason)) return undefined;
        throw new SysbackupError(
          'STORE_FAILED',
          `CloudFormation cannot change the stack ${this.#name}: ${StatusReason}`,
        );
      }
      await pause(this.#options.pollMs ?? POLL_MS);
    }
    throw new SysbackupError('STORE_FAILED', `CloudFormation prepares no change of the stack ${this.#name}`, {
      hint: 'Try again later.',
    });
  }

  async #rest(changeSet: string, first: string): Promise<Change[]> {
    const { DescribeChangeSetCommand } = await import('@aws-sdk/client-cloudformation');
    const changes: Change[] = [];
    let next: string | undefined = first;
    while (next !== undefined) {
      const page: DescribeChangeSetOutput = await this.#client.send(
        new DescribeChangeSetCommand({ ChangeSetName: changeSet, NextToken: next }),
      );
      changes.push(...(page.Changes ?? []));
      next = page.NextToken;
    }
    return changes;
  }

  async #execute(changeSet: string): Promise<void> {
    const { ExecuteChangeSetCommand } = await import('@aws-sdk/client-cloudformation');
    try {
      await this.#client.send(
        new ExecuteChangeSetCommand({ ChangeSetName: changeSet, StackName: this.#name }),
      );
    } catch (error) {
      throw explainAwsError(error, `cannot change the stack ${this.#name}`);
    }
  }

  async #discard(changeSet: string): Promise<void> {
    const { DeleteChangeSetCommand } = await import('@aws-sdk/client-cloudformation');
    // It does nothing where it is; that it is still there is not worth an error.
    await this.#client
      .send(new DeleteChangeSetCommand({ ChangeSetName: changeSet, StackName: this.#name }))
      .catch(() => undefined);
  }

  #summary(stack: StackState, result: ResourcesSummary['result']): ResourcesSummary {
    return { stackName: this.#name, result, outputs: Object.fromEntries(stack.outputs) };
  }
}

/** The stack's own, but for what is asked for, as far as this template has them. */
function parametersFor(
  stack: StackState,
  // An empty name of the bucket stays empty, though its real one may be given.
  { bucketName: _kept, ...parameters }: ResourceParameters,
  template: string,
): ReadonlyMap<string, string> {
  const asked = toCloudFormation(parameters).map(
    ({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue] as const,
  );
  const values = [...new Map([...stack.parameters, ...asked])];
  return new Map(values.filter(([key]) => new RegExp(`^ {2}${key}:$`, 'm').test(template)));
}

function changedParameters(stack: StackState, values: ReadonlyMap<string, string>): ParameterChange[] {
  return [...values]
    .map(([name, to]) => ({ name, from: stack.parameters.get(name), to }))
    .filter(({ from, to }) => from !== to);
}

function numbersOf(stack: StackState): ResourceParameters {
  const days = Number(stack.parameters.get('RetentionDays'));
  const longest = Number(stack.parameters.get('MaximumLockDays'));
  return {
    ...(days > 0 ? { retentionDays: days } : {}),
    ...(longest > 0 ? { maximumLockDays: longest } : {}),
  };
}

function changeOf({ ResourceChange: change }: Change): ResourceChange[] {
  if (change === undefined) return [];
  const {
    Action,
    LogicalResourceId = '?',
    ResourceType = '?',
    Replacement,
    Scope = [],
    Details = [],
  } = change;
  const properties = Details.flatMap(({ Target }) => (Target?.Name === undefined ? [] : [Target.Name]));
  return [
    {
      action: Action ?? 'Dynamic',
      resource: LogicalResourceId,
      type: ResourceType,
      replacement: Replacement,
      what: properties.length > 0 ? [...new Set(properties)].sort() : Scope,
    },
  ];
}

/** A bucket made anew is an empty one, and the old one is nobody's. Throws USAGE. */
function refuseLossOfBucket(changes: readonly ResourceChange[]): void {
  const loss = changes.find(
    ({ type, action, replacement }) =>
      type === 'AWS::S3::Bucket' &&
      (action === 'Remove' || replacement === 'True' || replacement === 'Conditional'),
  );
  if (loss === undefined) return;
  const what = loss.action === 'Remove' ? 'remove' : 'replace';
  throw new SysbackupError(
    'USAGE',
    `this change would ${what} the bucket (${loss.resource}), and is refused`,
    {
      hint: 'Make another package with create-resources: what is locked in the old bucket stays there.',
    },
  );
}
