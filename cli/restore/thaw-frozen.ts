import {
  type ColdStorage,
  type EventListener,
  type FrozenObjects,
  priceOfThawing,
  S3_LIST_PRICES,
  SysbackupError,
  thaw,
  type ThawSummary,
  type ThawTier,
} from '../../src/index.js';
import { onLinesAbove } from '../presentation/line-limit.js';
import { countOf, formatBytes, formatDollars } from '../presentation/quantities.js';
import type { Session } from '../session.js';
import type { RestoreFlags } from './flags.js';

const DEFAULT_DAYS = 7;

/**
 * How long AWS takes for what
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html).
 */
const TIMES: Record<string, Partial<Record<ThawTier, string>>> = {
  GLACIER: { expedited: '1 to 5 minutes', standard: '3 to 5 hours', bulk: '5 to 12 hours' },
  DEEP_ARCHIVE: { standard: 'within 12 hours', bulk: 'within 48 hours' },
  INTELLIGENT_TIERING: { standard: 'within 12 hours', bulk: 'within 48 hours' },
};

/** What a restore could not read, and what was asked for it. */
export interface Frozen {
  objects: FrozenObjects;
  /** Days that the readable copies are to stay. */
  days: number;
  /** Undefined where --thaw was not given. */
  asked: ThawSummary | undefined;
}

/** With --thaw, asks for all that a restore could not read. Undefined where that is nothing. */
export async function thawFrozen(
  objects: FrozenObjects,
  { thaw: tier, thawDays: days = DEFAULT_DAYS }: RestoreFlags,
  session: Session,
  { cold, onEvent }: { cold: ColdStorage | undefined; onEvent: EventListener },
): Promise<Frozen | undefined> {
  if (objects.size === 0) return undefined;
  if (tier === undefined) return { objects, days, asked: undefined };
  if (cold === undefined)
    throw new SysbackupError('STORE_UNSUITABLE', 'this store cannot be asked to thaw anything');
  const asked = await thaw({ cold, objects, tier, days, onEvent, signal: session.signal });
  return { objects, days, asked };
}

export function frozenLines({ objects, days, asked }: Frozen): string[] {
  const lines = ['not readable before they are thawed'];
  let priced = false;
  for (const [name, { objects: count, bytes }] of Object.entries(objects.counts)) {
    const times = (Object.entries(TIMES[name] ?? {}) as [ThawTier, string][]).map(([tier, time]) => {
      const price = priceOfThawing({ objects: count, bytes }, { storageClass: name, tier, days });
      priced ||= price !== undefined;
      return `${tier} ${time}${price === undefined ? '' : ` for ${formatDollars(price)}`}`;
    });
    const shown = name === '' ? 'a cold class' : name;
    lines.push(
      `  ${countOf(count, 'object')} with ${formatBytes(bytes)} in ${shown}${times.length === 0 ? '' : `: ${times.join(', ')}`}`,
    );
  }
  if (priced) {
    const { region, date } = S3_LIST_PRICES;
    lines.push(
      `  (Amazon's list prices, ${region}, ${date}; with ${countOf(days, 'day')} of readable copies)`,
    );
  }
  return [...lines, ...(asked === undefined ? HOW_TO_ASK : askedLines(asked))];
}

const HOW_TO_ASK = [
  '  ask for them with --thaw bulk (the cheapest), standard or expedited (the dearest), and --thaw-days N',
  '  where that was done already, start the same command again later: it goes on with what is there',
];

function askedLines({ tier, days, done, problems }: ThawSummary): string[] {
  const part = ({ objects, bytes }: { objects: number; bytes: number }): string =>
    `${countOf(objects, 'object')} with ${formatBytes(bytes)}`;
  const lines = [`  asked for now    ${part(done.asked)}, ${tier}, to be there for ${countOf(days, 'day')}`];
  if (done['under-way'].objects > 0)
    lines.push(`  asked for before  ${part(done['under-way'])}, not there yet`);
  if (done.readable.objects > 0) lines.push(`  there by now     ${part(done.readable)}`);
  if (problems.length > 0)
    lines.push(`  not asked for    ${countOf(problems.length, 'object')}, ${onLinesAbove(problems.length)}`);
  lines.push('  start the same command again later: it goes on with what is there');
  return lines;
}

/** For `--json`. */
export function jsonOfFrozen({ objects, asked }: Frozen): object {
  return {
    classes: objects.counts,
    ...(asked === undefined ? {} : { thaw: { ...asked, problems: asked.problems.length } }),
  };
}
