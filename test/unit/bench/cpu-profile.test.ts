import { expect, it } from 'vitest';
import { spentIn } from '../../../bench/profile/cpu-profile.js';

it('gives a room what it calls in Node.js and in native code, and waiting and garbage to nobody', () => {
  const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
    id,
    children,
    callFrame: { functionName, url },
  });
  const spent = spentIn({
    nodes: [
      node(1, '(root)', '', [2, 3, 4, 5]),
      node(2, '(idle)', ''),
      node(3, '(garbage collector)', ''),
      node(4, 'list', 'file:///x/dist/src/store/s3.js', [6, 7]),
      node(5, 'read', 'node:internal/fs/read'),
      node(6, 'send', 'file:///x/node_modules/@aws-sdk/client-s3/dist-es/send.js', [8]),
      node(7, '(garbage collector)', ''),
      node(8, 'hash', ''),
    ],
    samples: [2, 3, 4, 5, 6, 7, 8, 8],
    timeDeltas: [9e6, 1e6, 2e6, 3e6, 4e6, 5e6, 6e6, 7e6],
  });
  expect(Object.fromEntries(spent)).toEqual({
    waiting: 1,
    'garbage collector': 2 + 6,
    'src/store': 3 + 5 + 7,
    'node:internal/fs': 4,
  });
});
