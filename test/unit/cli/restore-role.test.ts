import { describe, expect, it } from 'vitest';
import { run } from './command.js';

const ARN = 'arn:aws:iam::123456789012:role/x-restore';
const DEVICE = 'arn:aws:iam::123456789012:mfa/me';

describe('restore under a role', () => {
  it.each([
    [['--role-arn', ARN, '--package', 'x'], 'two roles'],
    [['--role-arn', 'x-restore'], "no role's ARN"],
    [['--mfa', '123456'], '--mfa-device'],
    [['--mfa-device', DEVICE, '--mfa', '12345'], 'six digits'],
    [['--mfa-device', DEVICE], '--mfa.'],
    [['--thaw-days', '3'], '--thaw'],
    [['--thaw', 'bulk', '--dry-run'], '--dry-run'],
    [['--thaw', 'bulk', '--thaw-days', '0'], '--thaw-days'],
  ])('refuses %j', async (args, says) => {
    const { code, stderr } = await run(['restore', '--bucket', 'b', '--target', '/nonexistent', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(says)]);
  });

  it('refuses one for a directory', async () => {
    const { code, stderr } = await run(['restore', '--directory', '/d', '--target', '/t', '--role-arn', ARN]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('directory')]);
  });
});
