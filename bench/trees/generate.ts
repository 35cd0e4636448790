import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentOf, type Texture } from './contents.js';
import { Random } from './random.js';
import { survey, type Tree } from './tree.js';

/** What files are generated. `tiny`: up to 2 KiB; `mixed`: sizes and kinds as below /usr; a number: bytes of each. */
export interface TreePlan {
  files: number;
  sizes: 'tiny' | 'mixed' | number;
}

const FILES_IN_FOLDER = 25;
const FOLDERS_IN_FOLDER = 40;
const LARGEST = 32 * 2 ** 20;

/** The planned tree below `parent`, the same each time: made if it is not there from an earlier call. */
export function generatedTree(parent: string, plan: TreePlan): Tree {
  const path = join(parent, `${plan.files}-${plan.sizes}`);
  const finished = `${path}.finished`;
  if (!existsSync(finished)) {
    rmSync(path, { recursive: true, force: true });
    generate(path, plan);
    writeFileSync(finished, '');
  }
  return survey(path, `generated, ${sizesInWords(plan.sizes)}`);
}

function generate(path: string, plan: TreePlan): void {
  const random = new Random(1);
  for (let index = 0; index < plan.files; index++) {
    const folderIndex = Math.floor(index / FILES_IN_FOLDER);
    const folder = join(
      path,
      `part-${Math.floor(folderIndex / FOLDERS_IN_FOLDER)}`,
      `folder-${folderIndex % FOLDERS_IN_FOLDER}`,
    );
    if (index % FILES_IN_FOLDER === 0) {
      mkdirSync(folder, { recursive: true });
      if (folderIndex % 2 === 0) symlinkSync('file-0', join(folder, 'link'));
    }
    writeFileSync(
      join(folder, `file-${index % FILES_IN_FOLDER}`),
      contentOf(textureOf(plan, random), sizeOf(plan, random), random),
    );
  }
}

function sizesInWords(sizes: TreePlan['sizes']): string {
  if (sizes === 'tiny') return 'of up to 2 KiB, text';
  if (sizes === 'mixed') return 'of mixed sizes and kinds';
  return `of ${sizes} bytes, text`;
}

function sizeOf({ sizes }: TreePlan, random: Random): number {
  if (sizes === 'tiny') return random.below(2048);
  if (sizes === 'mixed') return Math.min(LARGEST, Math.round(3500 * Math.exp(1.9 * random.normal())));
  return sizes;
}

function textureOf({ sizes }: TreePlan, random: Random): Texture {
  if (sizes !== 'mixed') return 'text';
  const draw = random.below(10);
  return draw < 6 ? 'text' : draw < 9 ? 'records' : 'noise';
}
