/**
 * A snapshotter's name as the last part of an object key: what is not `A-Z a-z 0-9 . _ -` becomes `%XX`, byte by
 * byte of its UTF-8.
 */
export function snapshotKeySegment(name: string): string {
  return Buffer.from(name, 'utf8')
    .toString('latin1')
    .replaceAll(
      /[^A-Za-z0-9._-]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
}
