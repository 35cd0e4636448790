import {
  CloudFormationClient,
  CreateChangeSetCommand,
  CreateStackCommand,
  DeleteChangeSetCommand,
  DeleteStackCommand,
  DescribeChangeSetCommand,
  DescribeStackEventsCommand,
  DescribeStacksCommand,
  ExecuteChangeSetCommand,
  type StackEvent,
} from '@aws-sdk/client-cloudformation';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, describe, expect, it } from 'vitest';
import { type CreateResourcesOptions, createResources } from '#src/aws/create-resources.js';
import { checkParameters, longestLock } from '#src/aws/resource-parameters.js';
import { resourceTemplate } from '#src/aws/resource-template.js';
import { updateResources } from '#src/aws/update-resources.js';

const cloudFormation = mockClient(CloudFormationClient);
afterEach(() => cloudFormation.reset());

const OPTIONS: CreateResourcesOptions = {
  access: { region: 'eu-central-1', env: {}, userAtHost: 'a@b' },
  pollMs: 1,
};

/** What the stack is found as, one question after the other; the last stays. */
function stackIs(...statuses: (string | undefined)[]): void {
  const parameters = [
    { ParameterKey: 'PackageName', ParameterValue: 's3-sysbackup' },
    { ParameterKey: 'BucketName', ParameterValue: '' },
    { ParameterKey: 'OfAnOlderTemplate', ParameterValue: 'x' },
  ];
  const answers = statuses.map((status) => ({
    Stacks:
      status === undefined
        ? []
        : [
            {
              StackName: 's3-sysbackup',
              StackId: 'the-id',
              StackStatus: status as 'CREATE_COMPLETE',
              CreationTime: new Date(0),
              Parameters: parameters,
              Outputs: [{ OutputKey: 'BucketName', OutputValue: 'locked' }],
            },
          ],
  }));
  const last = answers.pop();
  const stub = cloudFormation.on(DescribeStacksCommand);
  for (const answer of answers) stub.resolvesOnce(answer);
  stub.resolves(last ?? { Stacks: [] });
}

function event(id: string, name: string, status: string, reason?: string): StackEvent {
  return {
    EventId: id,
    StackId: 'the-id',
    StackName: 's3-sysbackup',
    Timestamp: new Date(0),
    LogicalResourceId: name,
    ResourceType: `AWS::${name}`,
    ResourceStatus: status as 'CREATE_FAILED',
    ...(reason === undefined ? {} : { ResourceStatusReason: reason }),
  };
}

describe('making resources', () => {
  it('tells each event once, in its order, and on failure the first resource and its reason', async () => {
    stackIs(undefined, 'CREATE_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'ROLLBACK_COMPLETE');
    cloudFormation.on(CreateStackCommand).resolves({ StackId: 'the-id' });
    const first = event('1', 'Bucket', 'CREATE_IN_PROGRESS');
    const cancelled = event('3', 'BackupRole', 'CREATE_FAILED', 'Resource creation cancelled');
    const failed = event('2', 'Bucket', 'CREATE_FAILED', 'locked already exists');
    // The newest first, as CloudFormation does.
    cloudFormation
      .on(DescribeStackEventsCommand)
      .resolvesOnce({ StackEvents: [first] })
      .resolves({ StackEvents: [cancelled, failed, first] });
    const said: string[] = [];
    const making = createResources({
      ...OPTIONS,
      onEvent: (told) => {
        if (told.type === 'log') said.push(told.message);
      },
    });
    await expect(making).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining('(ROLLBACK_COMPLETE): AWS::Bucket Bucket: locked already exists'),
    });
    expect(said.slice(1).map((line) => line.split(' ')[0])).toEqual([
      'CREATE_IN_PROGRESS',
      'CREATE_FAILED',
      'CREATE_FAILED',
    ]);
  });

  it('what is rolled back for no single resource says why too', async () => {
    stackIs(undefined, 'ROLLBACK_COMPLETE');
    cloudFormation.on(CreateStackCommand).resolves({ StackId: 'the-id' });
    const reason = 'Export with name backup-bucket is already exported by stack other.';
    const rolledBack = event('1', 'CloudFormation::Stack', 'ROLLBACK_IN_PROGRESS', reason);
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [rolledBack] });
    await expect(createResources(OPTIONS)).rejects.toMatchObject({
      message: expect.stringContaining(reason),
      hint: expect.stringContaining('--export'),
    });
  });

  it('a lack of rights in the stack is one', async () => {
    stackIs(undefined, 'ROLLBACK_COMPLETE');
    cloudFormation.on(CreateStackCommand).resolves({ StackId: 'the-id' });
    const failed = event(
      '1',
      'BackupGroup',
      'CREATE_FAILED',
      'User is not authorized to perform: iam:CreateGroup',
    );
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [failed] });
    await expect(createResources(OPTIONS)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });

  it('takes up where an interrupted call left', async () => {
    stackIs('CREATE_IN_PROGRESS', 'CREATE_IN_PROGRESS', 'CREATE_COMPLETE');
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [] });
    expect(await createResources(OPTIONS)).toMatchObject({
      result: 'created',
      outputs: { BucketName: 'locked' },
    });
    expect(cloudFormation.commandCalls(CreateStackCommand)).toHaveLength(0);
  });

  it('first removes what an earlier failure left', async () => {
    stackIs('ROLLBACK_COMPLETE', undefined, 'CREATE_COMPLETE');
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [] });
    cloudFormation.on(DeleteStackCommand).resolves({});
    cloudFormation.on(CreateStackCommand).resolves({ StackId: 'the-id' });
    expect(await createResources(OPTIONS)).toMatchObject({ result: 'created' });
    expect(cloudFormation.commandCalls(DeleteStackCommand)).toHaveLength(1);
  });

  it('stops waiting when it is stopped', async () => {
    stackIs(undefined, 'CREATE_IN_PROGRESS');
    cloudFormation.on(CreateStackCommand).resolves({ StackId: 'the-id' });
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [] });
    const stop = new AbortController();
    const making = createResources({ ...OPTIONS, pollMs: 60_000, signal: stop.signal });
    const refused = expect(making).rejects.toMatchObject({ code: 'ABORTED' });
    setImmediate(() => stop.abort());
    await refused;
  });

  it.each([
    [{ packageName: 'my backups' }, 'the package name'],
    [{ packageName: 'a'.repeat(51) }, 'the package name'],
    [{ bucketName: 'Backups' }, 'the bucket name'],
    [{ bucketName: '-a-' }, 'the bucket name'],
    [{ exportName: 'a b' }, 'the name of the export'],
    [{ kmsKeyArn: 'alias/backup' }, 'the KMS key'],
    [{ retentionDays: 90 }, 'locks last up to 136 days'],
  ])('refuses %j before anything is sent', (parameters, what) => {
    expect(() => checkParameters(parameters)).toThrow(what);
  });

  it('knows how long locks get', () => {
    expect(longestLock(14, {})).toBe(22);
    expect(longestLock(14, { weekly: 56 })).toBe(71);
    expect(longestLock(14, { weekly: 56, yearly: 7 * 366 })).toBe(3295);
  });
});

describe('changing resources', () => {
  const change = (ResourceType: string, Replacement: 'True' | 'False' | 'Conditional') => ({
    Type: 'Resource' as const,
    ResourceChange: { Action: 'Modify' as const, LogicalResourceId: 'It', ResourceType, Replacement },
  });

  function changesAre(...changes: ReturnType<typeof change>[]): void {
    cloudFormation.on(CreateChangeSetCommand).resolves({ Id: 'the-change' });
    cloudFormation
      .on(DescribeChangeSetCommand)
      .resolvesOnce({ Status: 'CREATE_IN_PROGRESS' })
      .resolves({ Status: 'CREATE_COMPLETE', Changes: changes });
    cloudFormation.on(DescribeStackEventsCommand).resolves({ StackEvents: [] });
    cloudFormation.on(ExecuteChangeSetCommand).resolves({});
    cloudFormation.on(DeleteChangeSetCommand).resolves({});
  }
  const agree = async (): Promise<boolean> => true;

  it.each(['True', 'Conditional'] as const)(
    'refuses what would replace the bucket (%s), and leaves nothing',
    async (how) => {
      stackIs('CREATE_COMPLETE');
      changesAre(change('AWS::IAM::Role', 'True'), change('AWS::S3::Bucket', how));
      await expect(updateResources({ ...OPTIONS, confirm: agree })).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('would replace the bucket'),
      });
      expect(cloudFormation.commandCalls(ExecuteChangeSetCommand)).toHaveLength(0);
      expect(cloudFormation.commandCalls(DeleteChangeSetCommand)).toHaveLength(1);
    },
  );

  it('does nothing that is not agreed to', async () => {
    stackIs('CREATE_COMPLETE');
    changesAre(change('AWS::S3::Bucket', 'False'));
    await expect(updateResources({ ...OPTIONS, confirm: async () => false })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(cloudFormation.commandCalls(ExecuteChangeSetCommand)).toHaveLength(0);
  });

  it('keeps what no option names, without parameters that the template has no more', async () => {
    stackIs('CREATE_COMPLETE', 'UPDATE_COMPLETE');
    changesAre(change('AWS::S3::Bucket', 'False'));
    const shown: unknown[] = [];
    const updated = await updateResources({
      ...OPTIONS,
      parameters: { maximumLockDays: 500 },
      confirm: async (changes) => shown.push(...changes) > 0,
    });
    expect(updated.result).toBe('updated');
    expect(shown).toHaveLength(1);
    expect(cloudFormation.commandCalls(CreateChangeSetCommand)[0]?.args[0].input.Parameters).toEqual([
      { ParameterKey: 'PackageName', ParameterValue: 's3-sysbackup' },
      { ParameterKey: 'BucketName', ParameterValue: '' },
      { ParameterKey: 'MaximumLockDays', ParameterValue: '500' },
    ]);
  });

  it('says where nothing would change', async () => {
    stackIs('UPDATE_COMPLETE');
    cloudFormation.on(CreateChangeSetCommand).resolves({ Id: 'the-change' });
    cloudFormation.on(DeleteChangeSetCommand).resolves({});
    cloudFormation
      .on(DescribeChangeSetCommand)
      .resolves({ Status: 'FAILED', StatusReason: "The submitted information didn't contain changes." });
    expect(await updateResources({ ...OPTIONS, confirm: agree })).toMatchObject({ result: 'unchanged' });
  });

  it('refuses a stack in whose midst something hangs', async () => {
    stackIs('UPDATE_ROLLBACK_FAILED');
    await expect(updateResources({ ...OPTIONS, confirm: agree })).rejects.toThrow('UPDATE_ROLLBACK_FAILED');
  });
});

describe('the template', () => {
  it('fits into one request', async () => {
    // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    expect(Buffer.byteLength(await resourceTemplate())).toBeLessThan(51_200);
  });
});
