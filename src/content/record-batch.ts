import { FileStat, PACKED_STAT_SIZE } from '../files/stat.js';
import type { BlockRecord, EndRecord, FromReader, ReaderRecord } from './messages.js';
import type { EncodedBlock, FileReading } from './types.js';

const SHA_SIZE = 32;
const CAPACITY = 512 * 1024;
/** Longer byte strings get a buffer of their own. */
const LONGEST_PACKED = 64 * 1024;

export type Send = (message: FromReader, transfer: ArrayBuffer[]) => void;

/** Collects records until there are enough for a message, or {@link flush} is called. */
export class RecordBatch {
  private readonly send: Send;
  private readonly buffer = Buffer.allocUnsafeSlow(CAPACITY);
  private used = 0;
  /** Bytes that travel in buffers of their own. */
  private apart = 0;
  private records: ReaderRecord[] = [];

  constructor(send: Send) {
    this.send = send;
  }

  block(id: number, block: EncodedBlock): void {
    const { stored } = block;
    const { length } = stored.bytes;
    const packed = length <= LONGEST_PACKED;
    const at = this.reserve(SHA_SIZE + (packed ? length : 0));
    this.buffer.set(block.sha, at);
    let own: Uint8Array | undefined;
    if (packed) this.buffer.set(stored.bytes, at + SHA_SIZE);
    else own = ownBytes(stored);
    this.apart += own?.length ?? 0;
    this.records.push({
      kind: 'block',
      id,
      at,
      size: block.size,
      stored: { length, enc: stored.enc, md5: stored.md5, own },
    });
    if (this.apart > CAPACITY) this.flush();
  }

  memory(id: number, blocks: number): void {
    this.records.push({ kind: 'memory', id, blocks });
  }

  piece(id: number, slot: number, size: number, sha: Uint8Array | undefined): void {
    this.records.push({ kind: 'piece', id, slot, size, sha });
  }

  end(id: number, reading: FileReading): void {
    const { stat, size, unlocked, changed, lasting, startedNs } = reading;
    const at = this.reserve(PACKED_STAT_SIZE + SHA_SIZE);
    stat.bytes.copy(this.buffer, at, stat.offset, stat.offset + PACKED_STAT_SIZE);
    this.buffer.set(reading.sha, at + PACKED_STAT_SIZE);
    this.records.push({ kind: 'end', id, at, size, unlocked, changed, lasting, startedNs });
  }

  restart(id: number): void {
    this.records.push({ kind: 'restart', id });
  }

  failure(id: number, code: string, reason: string): void {
    this.records.push({ kind: 'failure', id, code, reason });
  }

  flush(): void {
    if (this.records.length === 0) return;
    const { records } = this;
    const bytes = new Uint8Array(this.used);
    bytes.set(this.buffer.subarray(0, this.used));
    this.records = [];
    this.used = 0;
    this.apart = 0;
    const transfer = [bytes.buffer];
    for (const record of records)
      if (record.kind === 'block' && record.stored.own) transfer.push(bufferOf(record.stored.own));
    this.send({ kind: 'records', bytes, records }, transfer);
  }

  private reserve(length: number): number {
    if (this.used + length > CAPACITY) this.flush();
    const at = this.used;
    this.used += length;
    return at;
  }
}

/** What is stored of a block, in a buffer as long as it is, to be handed to another thread. */
export function ownBytes({ bytes }: EncodedBlock['stored']): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

/** The ArrayBuffer of an array that {@link ownBytes} made, which fills it. */
export function bufferOf(own: Uint8Array): ArrayBuffer {
  return own.buffer as ArrayBuffer;
}

/** The stored bytes are a view of the message; the hash is a copy, since hashes are kept longer. */
export function blockOf(bytes: Uint8Array, record: BlockRecord): EncodedBlock {
  const { at, stored } = record;
  const from = at + SHA_SIZE;
  return {
    sha: bytes.slice(at, from),
    size: record.size,
    stored: {
      bytes: stored.own ?? bytes.subarray(from, from + stored.length),
      md5: stored.md5,
      enc: stored.enc,
    },
  };
}

export function readingOf(bytes: Uint8Array, record: EndRecord): FileReading {
  // One small buffer for both: the message's must not live as long as a stat does.
  const kept = Buffer.from(bytes.subarray(record.at, record.at + PACKED_STAT_SIZE + SHA_SIZE));
  return {
    stat: new FileStat(kept),
    sha: kept.subarray(PACKED_STAT_SIZE),
    size: record.size,
    unlocked: record.unlocked,
    changed: record.changed,
    lasting: record.lasting,
    startedNs: record.startedNs,
  };
}
