import type { Case } from './case.js';
import { first, firstS3 } from './first.js';
import { restore, restoreS3 } from './restore.js';
import { unchanged, unchangedS3 } from './unchanged.js';

export const CASES: readonly Case[] = [unchanged, unchangedS3, first, firstS3, restore, restoreS3];
