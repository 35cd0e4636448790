import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openS3Store } from '#src/store/s3.js';
import { KilledMachine, moments } from '../kit/killed-machine.js';
import { treeFacts } from '../kit/tree-facts.js';
import { describeWithCeph } from './ceph.js';

describeWithCeph('SIGKILL of runs into a bucket of Ceph', {}, (ceph) => {
  it('at 20 moments: each content is there in one version, and all comes back', async () => {
    const { endpoint, keys, clientConfig, createBucket } = ceph();
    const bucket = await createBucket();
    const machine = new KilledMachine({
      section: `[s3]\nbucket = ${bucket}\nendpoint_url = ${endpoint}\nregion = us-east-1\n`,
      env: { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey },
      // What was sent without its confirmation having been seen is found in a listing.
      share: 'yes',
      openStore: () => openS3Store({ bucket, client: clientConfig() }),
    });
    for (const [index, moment] of moments(20, 12).entries()) {
      if (index % 3 !== 2 || moment.type === 'stored') machine.change();
      await machine.run(moment);
      if (index % 6 === 5) await machine.run();
    }
    await machine.run();
    await machine.checkStore();
    const { backup, tree } = machine;
    expect(await machine.command(['restore', '--target', backup.at('target')])).toMatchObject({ code: 0 });
    expect(treeFacts(join(backup.at('target'), tree))).toEqual(treeFacts(tree));
  });
});
