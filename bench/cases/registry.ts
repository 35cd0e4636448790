import { blocks, blocksS3 } from './blocks.js';
import type { Case } from './case.js';
import { first, firstS3 } from './first.js';
import { restore, restoreS3 } from './restore.js';
import { profile } from './profile.js';
import { requests } from './requests.js';
import { scaling } from './scaling.js';
import { startup } from './startup.js';
import { unchanged, unchangedS3 } from './unchanged.js';

export const CASES: readonly Case[] = [
  unchanged,
  unchangedS3,
  scaling,
  first,
  firstS3,
  restore,
  restoreS3,
  blocks,
  blocksS3,
  requests,
  startup,
  profile,
];
