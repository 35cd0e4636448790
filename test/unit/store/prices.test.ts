import { describe, expect, it } from 'vitest';
import { STORAGE_CLASSES } from '#src/config/storage-class.js';
import {
  isPriced,
  priceOfRequests,
  priceOfThawing,
  S3_LIST_PRICES,
  storagePricePerMonth,
} from '#src/store/prices.js';

const { classes, list } = S3_LIST_PRICES;
const GB = 2 ** 30;

describe('list prices', () => {
  it('every class that a conf may name has one', () => {
    expect(STORAGE_CLASSES.filter((name) => !isPriced(name))).toEqual([]);
    expect(isPriced('toString')).toBe(false);
  });

  it('requests are priced by their kind: extending a lock as a PUT, LIST as in STANDARD', () => {
    const thousand = { put: 1000, 'put-retention': 1000, list: 1000, head: 1000, get: 1000 };
    const { put, get } = classes.GLACIER_IR;
    expect(priceOfRequests(thousand, 'GLACIER_IR')).toBeCloseTo(2 * put + list + 2 * get, 10);
    expect(priceOfRequests({ list: 1000 }, 'DEEP_ARCHIVE')).toBeCloseTo(list, 10);
    expect(priceOfRequests({})).toBe(0);
  });

  it('small objects are billed as larger ones in the classes for rare use', () => {
    const small = { objects: 8192, bytes: 8192 };
    expect(storagePricePerMonth(small, 'STANDARD_IA')).toBeCloseTo(classes.STANDARD_IA.storage, 10);
    expect(storagePricePerMonth({ objects: 1, bytes: 4 * GB }, 'STANDARD_IA')).toBeCloseTo(
      4 * classes.STANDARD_IA.storage,
      10,
    );
    // 40 KB beside each object, of which 8 KB at the price of STANDARD.
    expect(storagePricePerMonth({ objects: 32_768, bytes: 0 }, 'DEEP_ARCHIVE')).toBeCloseTo(
      classes.DEEP_ARCHIVE.storage + classes.STANDARD.storage / 4,
      10,
    );
  });

  it('thawing is priced by request, byte and the copies that stay', () => {
    const what = { objects: 1000, bytes: GB };
    const copies = classes.STANDARD.storage;
    expect(priceOfThawing(what, { storageClass: 'GLACIER', tier: 'bulk', days: 30 })).toBeCloseTo(copies, 10);
    expect(priceOfThawing(what, { storageClass: 'DEEP_ARCHIVE', tier: 'standard', days: 15 })).toBeCloseTo(
      0.1 + 0.02 + copies / 2,
      10,
    );
    expect(
      priceOfThawing(what, { storageClass: 'DEEP_ARCHIVE', tier: 'expedited', days: 1 }),
    ).toBeUndefined();
    expect(priceOfThawing(what, { storageClass: 'COLD', tier: 'bulk', days: 1 })).toBeUndefined();
  });
});
