import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { resourceTemplate } from '#src/aws/resource-template.js';
import { Command, type Ended, run } from '../unit/cli/command.js';
import { administrator, credentialsOf, type Identity, REGION } from './admin.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);

describe.skipIf(moto === undefined)('the life of a stack, against moto (needs python3 and PyPI)', () => {
  const url = moto?.url ?? '';
  const server = ['--endpoint-url', url, '--cf-region', REGION];
  let admin: Identity;

  beforeAll(async () => await moto?.enforceIamAfter(undefined));
  beforeEach(async () => {
    await moto?.reset();
    admin = await administrator(url);
  });
  afterAll(async () => await moto?.stop());

  async function create(...args: string[]): Promise<Ended> {
    return await run(['create-resources', ...server, ...args], { env: admin });
  }
  async function update(...args: string[]): Promise<Ended> {
    return await run(['update-resources', ...server, ...args], { env: admin });
  }
  function cloudFormation(): CloudFormationClient {
    return new CloudFormationClient({ endpoint: url, region: REGION, credentials: credentialsOf(admin) });
  }
  async function statusOf(StackName: string): Promise<string | undefined> {
    const { Stacks } = await cloudFormation().send(new DescribeStacksCommand({ StackName }));
    return Stacks?.[0]?.StackStatus;
  }
  async function buckets(): Promise<(string | undefined)[]> {
    const s3 = new S3Client({
      endpoint: url,
      region: REGION,
      forcePathStyle: true,
      credentials: credentialsOf(admin),
    });
    return ((await s3.send(new ListBucketsCommand({}))).Buckets ?? []).map(({ Name }) => Name);
  }

  it('one that fails names the resource that failed first and why, is rolled back, and can be made again', async () => {
    expect((await create('--bucket-name', 'taken')).code).toBe(0);
    const second = ['--package-name', 'second', '--export', 'second'];
    const failed = await create(...second, '--bucket-name', 'taken');
    expect({ code: failed.code, stdout: failed.stdout }).toEqual({ code: 1, stdout: '' });
    const [, , ...events] = failed.stderr.split('\n');
    expect(events[0]).toBe('CREATE_IN_PROGRESS AWS::S3::Bucket Bucket');
    expect(events[1]).toMatch(/^warning: CREATE_FAILED +AWS::S3::Bucket Bucket: .*not available/);
    expect(failed.stderr).toMatch(
      /^s3-sysbackup: the stack second could not be made \(ROLLBACK_COMPLETE\): AWS::S3::Bucket Bucket: .*not available/m,
    );
    expect(failed.stderr).toMatch(/^hint: .*--bucket-name/m);
    expect(await statusOf('second')).toBe('ROLLBACK_COMPLETE');
    const again = await create(...second, '--bucket-name', 'free');
    expect(again).toMatchObject({ code: 0 });
    expect(again.stderr).toContain('removing the stack second that an earlier attempt left');
    expect((await buckets()).sort()).toEqual(['free', 'taken']);
  });

  it('one whose export has a name that is taken says so, and leaves nothing', async () => {
    expect((await create('--bucket-name', 'first')).code).toBe(0);
    const failed = await create('--package-name', 'second', '--bucket-name', 'second');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/^s3-sysbackup: .*Export with name backup-bucket is already exported/m);
    expect(failed.stderr).toMatch(/^hint: .*--export/m);
    expect(await buckets()).toEqual(['first']);
  });

  it('interrupted while it is made, it says that CloudFormation goes on; run again, it is followed to its end', async () => {
    const args = ['create-resources', ...server, '--package-name', 'slow-one', '--bucket-name', 'slow'];
    const first = new Command(args, { env: admin });
    await first.says('CREATE_COMPLETE    AWS::S3::Bucket Bucket');
    first.child.kill('SIGINT');
    const { code, stderr } = await first.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/^hint: CloudFormation goes on with the stack slow-one: run this again/m);
    expect(await statusOf('slow-one')).toBe('CREATE_IN_PROGRESS');
    const again = await run([...args, '--json'], { env: admin });
    expect(again.code).toBe(0);
    expect(again.stderr).toContain('is being worked on (CREATE_IN_PROGRESS): waiting for it');
    expect(JSON.parse(again.stdout)).toMatchObject({ result: 'created', outputs: { BucketName: 'slow' } });
  });

  it('a change is shown, with what of which resource, before anybody is asked; what is no change is said', async () => {
    await create('--bucket-name', 'first');
    const unasked = await update('--max-lock-days', '400');
    expect({ code: unasked.code, stdout: unasked.stdout }).toEqual({ code: 2, stdout: '' });
    expect(unasked.stderr).toMatch(/^MaximumLockDays +100 +400$/m);
    expect(unasked.stderr).toMatch(/^Modify +BucketPolicy +AWS::S3::BucketPolicy +PolicyDocument +no$/m);
    expect(unasked.stderr).toMatch(/^hint: .*--yes/m);
    expect(await statusOf('s3-sysbackup')).toBe('CREATE_COMPLETE');
    const done = await update('--max-lock-days', '400', '--yes', '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ result: 'updated', outputs: { MaximumLockDays: '400' } });
    expect(done.stderr).toMatch(/^UPDATE_COMPLETE +AWS::S3::BucketPolicy BucketPolicy$/m);
    const same = await update('--max-lock-days', '400', '--yes', '--json');
    expect(JSON.parse(same.stdout)).toMatchObject({ result: 'unchanged' });
  });

  it('a change that would make the bucket anew is refused, whoever agrees', async () => {
    // As an older template might have had it.
    const template = (await resourceTemplate()).replace(
      'BucketName: !If [HasBucketName, !Ref BucketName, !Ref AWS::NoValue]',
      'BucketName: fixed-name',
    );
    await cloudFormation().send(
      new CreateStackCommand({
        StackName: 's3-sysbackup',
        TemplateBody: template,
        Capabilities: ['CAPABILITY_NAMED_IAM'],
      }),
    );
    const refused = await update('--yes');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('this change would replace the bucket (Bucket), and is refused');
    expect(await buckets()).toEqual(['fixed-name']);
    expect(await statusOf('s3-sysbackup')).toBe('CREATE_COMPLETE');
  });
});
