import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { administrator, type Identity, REGION } from './admin.js';
import { bootedOrSkip, PROGRAM_THERE } from './booted-systemd.js';
import { startMotoOrSkip, WITH_LOCKS } from './moto.js';

const moto = await startMotoOrSkip(WITH_LOCKS);
const system = moto === undefined ? undefined : await bootedOrSkip();

const PASSWORD = 'correct horse';

/** What the documents' machine has and this one has not. */
const SHIMS: Record<string, string> = {
  's3-sysbackup': `exec ${PROGRAM_THERE.join(' ')} "$@"`,
  sudo: [
    'user=root',
    'while :; do case $1 in -u) user=$2; shift 2 ;; --preserve-env=*) shift ;; *) break ;; esac; done',
    '[ $user = root ] && exec env "$@"',
    'exec setpriv --reuid=$user --regid=$user --init-groups env "$@"',
  ].join('\n'),
  scp: 'test -s "$1"',
  ssh: '[ "$1" = -t ] && shift; shift; exec "$@"',
  pass: `echo '${PASSWORD}'`,
};

/** Not typed here: they take a registry of packages, or an editor. */
const NOT_HERE = /npm (?:ci|install)|systemctl edit/;

/** The blocks of shell of a document, each under its heading. */
function blocksOf(document: string): [heading: string, script: string][] {
  const path = fileURLToPath(new URL(`../../docs/${document}`, import.meta.url));
  let heading = '';
  const blocks: [string, string][] = [];
  for (const [, title, script] of readFileSync(path, 'utf8').matchAll(/^## (.+)$|^```sh\n([^]*?)^```$/gm)) {
    if (title !== undefined) heading = title;
    else if (script !== undefined && !NOT_HERE.test(script)) blocks.push([heading, script]);
  }
  return blocks;
}

describe.skipIf(system === undefined)(
  'what the documents say to type, on a machine with systemd, against moto (needs root, python3, PyPI)',
  () => {
    let variables: Identity = {};

    beforeAll(async () => {
      const admin = await administrator(moto?.url ?? '');
      await moto?.enforceIamAfter(0);
      variables = {
        ...admin,
        AWS_ENDPOINT_URL: moto?.url ?? '',
        AWS_REGION: REGION,
        S3_SYSBACKUP_PASSWORD: PASSWORD,
      };
      mkdirSync(join(system?.folder ?? '', 'bin'));
      for (const [name, script] of Object.entries(SHIMS))
        writeFileSync(join(system?.folder ?? '', 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
      const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = admin;
      const role = 'role_arn = arn:aws:iam::123456789012:role/s3-sysbackup-audit\nsource_profile = default\n';
      const prepared = await system?.sh(`
        set -e
        hostname web1
        systemctl set-environment AWS_ENDPOINT_URL=${moto?.url}
        for folder in /root /home; do mount -t tmpfs -o mode=700 tmpfs $folder; done
        mkdir -p /root/.aws /etc/ssh /run/secrets
        echo 'Port 22' >/etc/ssh/sshd_config
        echo '${PASSWORD}' >/run/secrets/fleet
        printf '[default]\\naws_access_key_id = ${id}\\naws_secret_access_key = ${secret}\\n' >/root/.aws/credentials
        printf '[profile backup-audit]\\n${role.replaceAll('\n', '\\n')}' >/root/.aws/config
      `);
      expect(prepared).toMatchObject({ code: 0 });
    });
    afterAll(async () => {
      await system?.stop();
      await moto?.stop();
    });

    /** As typed, but for the name that AWS made up. */
    async function type(script: string): Promise<{ code: number | null; said: string }> {
      const bucket = 'bucket=$(sed -n "s/^BucketName *//p" /root/made)';
      const told = script.replaceAll(/s3-sysbackup-bucket-1a2b3c4d5e6f|my-backups/g, '$bucket');
      const noted = told.replace(/^(s3-sysbackup create-resources.*)$/m, '$1 | tee /root/made');
      writeFileSync(
        join(system?.folder ?? '', 'typed'),
        `set -eo pipefail\n[ -e /root/made ] && ${bucket}\n${noted}`,
      );
      const exports = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'`);
      const ended = await system?.sh(
        `${exports.join('\n')}\nexport HOME=/root PATH=/mnt/bin:$PATH\ncd /root\nbash /mnt/typed`,
      );
      return { code: ended?.code ?? null, said: `${ended?.stdout}${ended?.stderr}` };
    }

    it.each(['getting-started.md', 'fleet.md'])(
      'docs/%s: every block works',
      { timeout: 300_000 },
      async (document) => {
        const blocks = blocksOf(document);
        expect(blocks.length).toBeGreaterThan(5);
        for (const [heading, script] of blocks) {
          const { code, said } = await type(script);
          if (code !== 0) throw new Error(`under "${heading}", exit code ${code}:\n${script}${said}`);
        }
      },
    );

    it('and leaves a machine that backs up by itself, and one that renews', async () => {
      const { code, said } = await type(
        'systemctl start s3-sysbackup.service s3-sysbackup-renew.service\nsystemctl show s3-sysbackup-renew.service -p Result -p ExecMainStatus',
      );
      expect({ code, said }).toEqual({ code: 0, said: 'Result=success\nExecMainStatus=0\n' });
    });
  },
);
