import type { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { SysbackupError, throwIfAborted } from '../errors.js';
import type { EventListener } from '../events.js';
import { type AwsAccess, cloudFormationOf } from './access.js';
import { explainAwsError } from './explain.js';
import { type FollowedStack, type FollowOptions, StackFollower, stackFailure } from './follow-stack.js';
import {
  checkParameters,
  firstDifference,
  type ResourceParameters,
  toCloudFormation,
} from './resource-parameters.js';
import { resourceTemplate } from './resource-template.js';
import { describeStack, isMoving, isStanding, isStillborn, type StackState } from './stack.js';
import { checkStackName } from './stack-name.js';

export interface CreateResourcesOptions extends FollowOptions {
  /** Whose account, and in which region. Needs administrator rights. */
  access: AwsAccess;
  /** Default: the package name. */
  stackName?: string | undefined;
  parameters?: ResourceParameters;
}

export interface ResourcesSummary {
  stackName: string;
  /** `created`; `existing` where the stack stood already; `updated` or `unchanged` after an update. */
  result: 'created' | 'existing' | 'updated' | 'unchanged';
  /** By name: `BucketName`, `BackupRoleArn`, … */
  outputs: Record<string, string>;
}

/** What would be sent, for looking at. */
export interface PlannedResources {
  stackName: string;
  template: string;
  /** Those that are given; the others have the template's defaults. */
  parameters: Record<string, string>;
}

export const DEFAULT_PACKAGE = 's3-sysbackup';

/** Checks what is asked for, and sends nothing. Throws USAGE. */
export async function planResources(
  options: Pick<CreateResourcesOptions, 'stackName' | 'parameters'>,
): Promise<PlannedResources> {
  const parameters = withPackage(options.parameters);
  checkParameters(parameters);
  const stackName = options.stackName ?? parameters.packageName;
  checkStackName(stackName);
  const given = toCloudFormation(parameters).map(
    ({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue] as const,
  );
  return { stackName, template: await resourceTemplate(), parameters: Object.fromEntries(given) };
}

/**
 * Makes bucket, roles and groups, and waits for them. Where an earlier call was interrupted, it takes up where
 * CloudFormation is; what an earlier failure left is removed first; a stack that stands is left as it is.
 * Throws USAGE; ACCESS_DENIED or STORE_FAILED with the first resource that failed and why, the stack rolled back.
 */
export async function createResources(options: CreateResourcesOptions): Promise<ResourcesSummary> {
  const { stackName, template } = await planResources(options);
  const parameters = withPackage(options.parameters);
  const client = await cloudFormationOf(options.access);
  try {
    return await new Creation(client, stackName, template, parameters, options).run();
  } finally {
    client.destroy();
  }
}

function withPackage(parameters: ResourceParameters = {}): ResourceParameters & { packageName: string } {
  return { ...parameters, packageName: parameters.packageName ?? DEFAULT_PACKAGE };
}

class Creation {
  readonly #client: CloudFormationClient;
  readonly #name: string;
  readonly #template: string;
  readonly #parameters: ResourceParameters;
  readonly #options: CreateResourcesOptions;

  constructor(
    client: CloudFormationClient,
    name: string,
    template: string,
    parameters: ResourceParameters,
    options: CreateResourcesOptions,
  ) {
    this.#client = client;
    this.#name = name;
    this.#template = template;
    this.#parameters = parameters;
    this.#options = options;
  }

  async run(): Promise<ResourcesSummary> {
    let stack = await describeStack(this.#client, this.#name);
    if (stack !== undefined && isMoving(stack)) {
      const creating = stack.status === 'CREATE_IN_PROGRESS';
      this.#say(`the stack ${this.#name} is being worked on (${stack.status}): waiting for it`);
      const followed = await this.#follow(stack);
      stack = followed.stack;
      if (creating) {
        if (stack !== undefined && isStanding(stack)) return this.#summary(stack, 'created');
        throw stackFailure(followed, this.#name, 'could not be made');
      }
    }
    if (stack !== undefined && isStillborn(stack)) {
      this.#say(`removing the stack ${this.#name} that an earlier attempt left (${stack.status})`);
      await this.#remove(stack);
      stack = undefined;
    }
    return stack === undefined ? await this.#create() : this.#existing(stack);
  }

  async #create(): Promise<ResourcesSummary> {
    throwIfAborted(this.#options.signal);
    const id = await this.#send();
    this.#say(`making the stack ${this.#name}`);
    const started: StackState = {
      id,
      name: this.#name,
      status: 'CREATE_IN_PROGRESS',
      reason: undefined,
      parameters: new Map(),
      outputs: new Map(),
    };
    const followed = await this.#follow(started);
    if (followed.stack?.status === 'CREATE_COMPLETE') return this.#summary(followed.stack, 'created');
    throw stackFailure(followed, this.#name, 'could not be made');
  }

  /** Throws ABORTED, with what that means for the stack. */
  async #follow(stack: StackState): Promise<FollowedStack> {
    try {
      return await new StackFollower(this.#client, this.#options).follow(stack);
    } catch (error) {
      if (!(error instanceof SysbackupError) || error.code !== 'ABORTED') throw error;
      throw new SysbackupError('ABORTED', error.message, {
        hint: `CloudFormation goes on with the stack ${this.#name}: run this again to see what comes of it.`,
        cause: error,
      });
    }
  }

  async #send(): Promise<string> {
    const { CreateStackCommand } = await import('@aws-sdk/client-cloudformation');
    try {
      const { StackId } = await this.#client.send(
        new CreateStackCommand({
          StackName: this.#name,
          TemplateBody: this.#template,
          Parameters: toCloudFormation(this.#parameters),
          Capabilities: ['CAPABILITY_NAMED_IAM'],
          OnFailure: 'ROLLBACK',
        }),
      );
      return StackId ?? this.#name;
    } catch (error) {
      throw explainAwsError(
        error,
        `cannot make the stack ${this.#name}`,
        'It takes cloudformation:CreateStack, and the rights to make buckets, roles, groups and policies.',
      );
    }
  }

  async #remove(stack: StackState): Promise<void> {
    const { DeleteStackCommand } = await import('@aws-sdk/client-cloudformation');
    try {
      await this.#client.send(new DeleteStackCommand({ StackName: stack.id }));
    } catch (error) {
      throw explainAwsError(error, `cannot delete the stack ${this.#name}`);
    }
    const followed = await new StackFollower(this.#client, { ...this.#options, onEvent: undefined }).follow(
      stack,
    );
    if (followed.stack !== undefined) throw stackFailure(followed, this.#name, 'could not be deleted');
  }

  #existing(stack: StackState): ResourcesSummary {
    if (!isStanding(stack))
      throw new SysbackupError('STORE_FAILED', `the stack ${this.#name} is in the state ${stack.status}`, {
        hint: 'See its events in the CloudFormation console, and continue its rollback or delete it there.',
      });
    if (!stack.parameters.has('PackageName'))
      throw new SysbackupError(
        'USAGE',
        `there is another stack ${this.#name}, which is none of s3-sysbackup`,
        {
          hint: 'Choose a name with --stack-name.',
        },
      );
    const difference = firstDifference(this.#parameters, stack.parameters);
    if (difference !== undefined)
      throw new SysbackupError('USAGE', `the stack ${this.#name} exists already: ${difference}`, {
        hint: 'update-resources changes it; for another bucket choose another --package-name and --export.',
      });
    return this.#summary(stack, 'existing');
  }

  #summary(stack: StackState, result: ResourcesSummary['result']): ResourcesSummary {
    return { stackName: this.#name, result, outputs: Object.fromEntries(stack.outputs) };
  }

  #say(message: string): void {
    const listener: EventListener | undefined = this.#options.onEvent;
    listener?.({ type: 'log', level: 'info', message });
  }
}
