import { type RunPrice, S3_LIST_PRICES } from '../../src/index.js';
import { formatDollars } from './quantities.js';

/**
 * What a run costs, for a person.
 *
 * @param options `but`: what is not counted in
 */
export function priceText(
  { requests, month, amazon }: RunPrice,
  { atMost = false, but = '' }: { atMost?: boolean; but?: string } = {},
): string {
  const { region, date } = S3_LIST_PRICES;
  const where = amazon ? '' : "on Amazon's S3 ";
  const without = but === '' ? '' : `, without ${but}`;
  return (
    `${where}${atMost ? 'at most ' : ''}${formatDollars(requests)} for the requests, and ` +
    `${formatDollars(month)} a month for what is new${without} (list prices, ${region}, ${date})`
  );
}
