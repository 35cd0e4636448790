import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { errnoOf } from '../errors.js';
import { isVersion } from './directory-layout.js';
import type { Retention } from './port.js';

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
/** Longer than all sidecars but those with very long metadata. */
const FIRST_READ = Buffer.alloc(4096);

/** What a directory store keeps about one version, beside its data: one JSON object per file, with its CRC-32. */
export interface Sidecar {
  /** MD5 of the stored bytes, in hex. */
  version: string;
  /** Length of the stored bytes. */
  size: number;
  metadata: Record<string, string>;
  retention: Retention | undefined;
  /** Milliseconds since the epoch, by the file system's clock. */
  received: number;
}

/** `absent`: no such file. `unreadable`: a file that is no sidecar; its version is unknown. */
export type SidecarReading = Sidecar | 'absent' | 'unreadable';

export function formatSidecar(sidecar: Sidecar): Buffer {
  const { version, size, metadata, retention } = sidecar;
  // A clock from before 1970, or one that is at its end, must not make a sidecar that nobody reads.
  const received = Math.min(Math.max(0, sidecar.received), Number.MAX_SAFE_INTEGER);
  const fields = JSON.stringify({ version, size, received, retention: retention ?? null, metadata });
  return Buffer.from(`${fields.slice(0, -1)},"check":"${checkOf(fields)}"}\n`);
}

/** The end of a sidecar that tells the CRC-32 of what is before it. */
const CHECK = /,"check":"([0-9a-f]{8})"\}\s*$/;

/**
 * Whether the text is what was written. A digit that a disk changed leaves JSON that says something else: another
 * time or lock, which no later look could tell from a true one. Sidecars of earlier versions have no check.
 */
function isAsWritten(text: string, check: unknown): boolean {
  if (check === undefined) return true;
  const end = CHECK.exec(text);
  return end?.[1] !== undefined && end[1] === checkOf(`${text.slice(0, end.index)}}`);
}

function checkOf(fields: string): string {
  return crc32(fields).toString(16).padStart(8, '0');
}

export async function readSidecar(path: string): Promise<SidecarReading> {
  try {
    const file = await open(path, READ);
    try {
      return parseSidecar(await file.readFile('utf8'));
    } finally {
      await file.close();
    }
  } catch (error) {
    return readingOfError(error, path);
  }
}

/** The same, waited for: for many sidecars on a local file system. */
export function readSidecarSync(path: string): SidecarReading {
  try {
    const file = openSync(path, READ);
    try {
      const length = readSync(file, FIRST_READ, 0, FIRST_READ.length, 0);
      if (length < FIRST_READ.length) return parseSidecar(FIRST_READ.toString('utf8', 0, length));
      return parseSidecar(readFileSync(file, 'utf8'));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return readingOfError(error, path);
  }
}

function readingOfError(error: unknown, path: string): 'absent' | 'unreadable' {
  const errno = errnoOf(error) ?? '';
  if (errno === 'ENOENT' || errno === 'ENOTDIR') return 'absent';
  // A link, or a directory.
  if (errno === 'ELOOP' || errno === 'EISDIR') return 'unreadable';
  // A disk that fails is no damage to be mended: the reader must stop, and learn which file it was.
  if (error instanceof Error && !error.message.includes(path)) error.message += ` '${path}'`;
  throw error;
}

export function parseSidecar(text: string): Sidecar | 'unreadable' {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'unreadable';
  }
  if (!isRecord(value) || !isAsWritten(text, value['check'])) return 'unreadable';
  const { version, size, received, metadata } = value;
  const retention = parseRetention(value['retention']);
  if (typeof version !== 'string' || !isVersion(version) || !isCount(size) || !isCount(received))
    return 'unreadable';
  if (retention === 'unreadable' || !isTextRecord(metadata)) return 'unreadable';
  return { version, size, received, metadata, retention };
}

function parseRetention(value: unknown): Retention | undefined | 'unreadable' {
  if (value === null) return undefined;
  if (!isRecord(value)) return 'unreadable';
  const { mode, until } = value;
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || !isCount(until)) return 'unreadable';
  return { mode, until };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextRecord(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
