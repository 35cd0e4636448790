import { LARGEST_SUM } from '../add-up.js';
import {
  exactlyOne,
  isId,
  isRecord,
  isTextList,
  oneOf,
  optionalBase64,
  optionalText,
  SHA256,
  shown,
  text,
  wholeNumber,
} from './fields.js';
import { LineFault } from './line-fault.js';
import { MANIFEST_FORMAT, type ManifestLine } from './types.js';
import { validateData, validateRef } from './validate-data.js';

/**
 * Checks one parsed line against the types of format 2 and returns it, or throws a {@link LineFault}. Written by
 * hand because it runs once per file of a run: about 0.5 µs a line. Fields it does not know are let through, so
 * that a later writer may add some.
 *
 * Paths are checked for their type only: a path that must not be written (`..`, a NUL) is one entry's fault, for
 * the reader of the entry to refuse, and no reason to lose the rest of a backup.
 */
export function validateLine(value: unknown): ManifestLine {
  if (!isRecord(value)) throw new LineFault('is no JSON object');
  switch (value['typ']) {
    case 'f':
      validatePath(value);
      validateOwner(value);
      validateMode(value);
      time(value);
      validateData(value);
      optionalText(value, 'id');
      if (value['w'] !== undefined && !isTextList(value['w'])) throw new LineFault('`w` is no list of words');
      break;
    case 'd':
      validatePath(value);
      validateOwner(value);
      validateMode(value);
      time(value);
      break;
    case 'l':
      validatePath(value);
      validateOwner(value);
      time(value);
      validateXattr(value);
      exactlyOne(value, 'tgt', 'tgt64');
      optionalText(value, 'id');
      break;
    case 's':
      text(value, 'name');
      validateData(value);
      if (value['index'] !== undefined) validateRef(value['index']);
      optionalText(value, 'description');
      optionalText(value, 'restore_through');
      break;
    case 'problem':
      optionalText(value, 'path');
      optionalBase64(value, 'path64');
      oneOf(value, 'severity', ['note', 'failure', 'broken']);
      text(value, 'code');
      text(value, 'message');
      optionalText(value, 'source');
      break;
    case 'manifest':
      validateHeader(value);
      break;
    case 'end':
      validateFooter(value);
      break;
    default:
      throw new LineFault(`is of an unknown type (\`typ\` is ${shown(value['typ'])})`);
  }
  // All that the type of this `typ` demands was checked above.
  return value as unknown as ManifestLine;
}

function validateHeader(line: Record<string, unknown>): void {
  const format = line['format'];
  if (typeof format === 'number' && format > MANIFEST_FORMAT)
    throw new LineFault(
      `says that the manifest is of format ${format}, and this version reads up to ${MANIFEST_FORMAT}: a newer s3-sysbackup is needed`,
    );
  if (format !== MANIFEST_FORMAT) throw new LineFault(`has the format ${shown(format)}`);
  for (const field of ['backup', 'run', 'host', 'machine', 'start', 'tool']) text(line, field);
  const { retention, classes } = line;
  if (retention !== null) {
    if (!isRecord(retention)) throw new LineFault('`retention` is neither null nor an object');
    oneOf(retention, 'mode', ['GOVERNANCE', 'COMPLIANCE']);
    text(retention, 'until');
  }
  if (classes !== undefined && !isTextList(classes)) throw new LineFault('`classes` is no list of words');
}

function validateFooter(line: Record<string, unknown>): void {
  oneOf(line, 'outcome', ['complete', 'partial', 'broken']);
  const { counts, stored, requests } = line;
  if (!isRecord(counts)) throw new LineFault('`counts` is no object');
  for (const field of ['d', 'l', 'f', 's', 'problems']) wholeNumber(counts, field);
  // Early versions went on where sums stop now. Nothing else is wrong with what they wrote.
  if (Number.isInteger(line['bytes']) && Number(line['bytes']) > LARGEST_SUM) line['bytes'] = LARGEST_SUM;
  wholeNumber(line, 'bytes');
  if (!isRecord(stored)) throw new LineFault('`stored` is no object');
  wholeNumber(stored, 'objects');
  wholeNumber(stored, 'bytes');
  if (!isRecord(requests)) throw new LineFault('`requests` is no object');
  for (const kind of Object.keys(requests)) wholeNumber(requests, kind);
  if (typeof line['sha256'] !== 'string' || !SHA256.test(line['sha256']))
    throw new LineFault('`sha256` is no SHA-256 in hex');
}

function validatePath(line: Record<string, unknown>): void {
  exactlyOne(line, 'path', 'path64');
}

function validateOwner(line: Record<string, unknown>): void {
  const { o, g, uid, gid } = line;
  if (typeof o !== 'string' && !isId(o)) throw new LineFault('`o` is neither a name nor a number');
  if (typeof g !== 'string' && !isId(g)) throw new LineFault('`g` is neither a name nor a number');
  if (!isId(uid)) throw new LineFault('`uid` is no number of 32 bits');
  if (!isId(gid)) throw new LineFault('`gid` is no number of 32 bits');
}

function validateMode(line: Record<string, unknown>): void {
  const mode = line['mode'];
  if (typeof mode !== 'number' || !Number.isInteger(mode) || mode < 0 || mode > 0o7777)
    throw new LineFault(`\`mode\` is ${shown(mode)}`);
  optionalText(line, 'acl');
  validateXattr(line);
}

function validateXattr(line: Record<string, unknown>): void {
  const xattr = line['xattr'];
  if (xattr === undefined) return;
  if (!isRecord(xattr)) throw new LineFault('`xattr` is no object');
  for (const name of Object.keys(xattr)) optionalBase64(xattr, name);
}

/** Any second of 64 bits has at most 19 digits. A larger one is its entry's fault, and no reason to lose the rest. */
const TIME = /^-?\d{1,19}\.\d{9}$/;

function time(line: Record<string, unknown>): void {
  const mt = line['mt'];
  if (typeof mt !== 'string' || !TIME.test(mt)) throw new LineFault(`\`mt\` is ${shown(mt)}`);
}
