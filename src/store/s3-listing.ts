import type { DeleteMarkerEntry, ListObjectVersionsCommandOutput, ObjectVersion } from '@aws-sdk/client-s3';
import { SysbackupError } from '../errors.js';
import { compareKeys } from './key-order.js';
import type { ListedVersion, ListPage } from './port.js';

/** Where a page begins, as ListObjectVersions wants to be told, and after which key rows count. */
export interface S3Position {
  KeyMarker?: string;
  VersionIdMarker?: string;
  after?: string;
}

export function parseContinuation(continuation: string): S3Position {
  let parsed: unknown;
  try {
    parsed = JSON.parse(continuation);
  } catch (cause) {
    throw new SysbackupError('USAGE', 'a listing was continued with what no page gave', { cause });
  }
  const [key, version, after] = Array.isArray(parsed) ? (parsed as unknown[]) : [];
  return {
    ...(typeof key === 'string' ? { KeyMarker: key } : {}),
    ...(typeof version === 'string' ? { VersionIdMarker: version } : {}),
    ...(typeof after === 'string' ? { after } : {}),
  };
}

/**
 * A page of ListObjectVersions as the port wants it. The SDK gives versions and delete markers in two lists; their
 * order among each other is found again by key, then by what is the latest, then by time.
 */
export function pageOfOutput(
  output: ListObjectVersionsCommandOutput,
  prefix: string,
  after: string | undefined,
): ListPage {
  const decode = output.EncodingType === 'url' ? decodeUrl : (key: string): string => key;
  const versions = (output.Versions ?? []).map((row) => rowOf(row, decode, prefix, false));
  const markers = (output.DeleteMarkers ?? []).map((row) => rowOf(row, decode, prefix, true));
  const rows = merge(versions, markers);
  return {
    // A marker is exclusive on AWS, and inclusive on Ceph.
    versions: after === undefined ? rows : rows.filter(({ key }) => compareKeys(key, after) > 0),
    next: output.IsTruncated === true ? continuationOf(output, decode, after) : undefined,
  };
}

function continuationOf(
  output: ListObjectVersionsCommandOutput,
  decode: (key: string) => string,
  after: string | undefined,
): string {
  const { NextKeyMarker: key, NextVersionIdMarker: version } = output;
  return JSON.stringify([decode(key ?? ''), version, after]);
}

function rowOf(
  row: ObjectVersion | DeleteMarkerEntry,
  decode: (key: string) => string,
  prefix: string,
  deleteMarker: boolean,
): ListedVersion {
  const object: ObjectVersion = deleteMarker ? {} : (row as ObjectVersion);
  return {
    key: decode(row.Key ?? '').slice(prefix.length),
    version: row.VersionId === undefined || row.VersionId === '' ? 'null' : row.VersionId,
    size: object.Size ?? 0,
    etag: unquoted(object.ETag),
    received: row.LastModified?.getTime() ?? 0,
    isLatest: row.IsLatest ?? false,
    deleteMarker,
    storageClass: object.StorageClass,
  };
}

/** Two lists that are in order, each among itself. Nothing is sorted, so what the server orders stays so. */
function merge(versions: readonly ListedVersion[], markers: readonly ListedVersion[]): ListedVersion[] {
  if (markers.length === 0) return [...versions];
  const merged: ListedVersion[] = [];
  let index = 0;
  for (const version of versions) {
    for (
      let marker = markers[index];
      marker !== undefined && comesFirst(marker, version);
      marker = markers[index]
    ) {
      merged.push(marker);
      index += 1;
    }
    merged.push(version);
  }
  return [...merged, ...markers.slice(index)];
}

function comesFirst(marker: ListedVersion, version: ListedVersion): boolean {
  const order = compareKeys(marker.key, version.key);
  if (order !== 0) return order < 0;
  if (marker.isLatest !== version.isLatest) return marker.isLatest;
  return marker.received > version.received;
}

/** Keys come back in form encoding (`+` for a space) or percent-encoded. */
function decodeUrl(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

export function unquoted(etag: string | undefined): string | undefined {
  return etag?.replace(/^"(.*)"$/s, '$1');
}
