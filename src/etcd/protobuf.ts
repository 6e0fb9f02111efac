/**
 * Protocol Buffers' wire format, as far as etcd's messages use it: varints, texts, bytes and messages inside messages.
 * Fields of other kinds and unknown numbers are read over. Bytes that are no message throw; nothing is read beyond them.
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** The encoded parts of one message. */
export type Parts = readonly Buffer[];

/** A whole message. */
export const message = (...parts: Parts): Buffer => Buffer.concat(parts);

/** A number of 0 to 2^53, or an id of up to 64 bits; written also if it is 0, as a member of a oneof has to be. */
export function numberField(field: number, value: number | bigint): Buffer {
  return Buffer.from([...varint(field * 8 + VARINT), ...varint(value)]);
}

export const flagField = (field: number, value: boolean): Buffer =>
  numberField(field, value ? 1 : 0);

export function bytesField(field: number, bytes: Uint8Array): Buffer {
  const head = Buffer.from([...varint(field * 8 + LENGTH), ...varint(bytes.length)]);
  return Buffer.concat([head, bytes]);
}

export const textField = (field: number, text: string): Buffer =>
  bytesField(field, Buffer.from(text));

export const messageField = (field: number, ...parts: Parts): Buffer =>
  bytesField(field, message(...parts));

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let left = BigInt(value);
  while (left > 127n) {
    bytes.push(Number(left & 127n) | 128);
    left >>= 7n;
  }
  return [...bytes, Number(left)];
}

/**
 * Reads a message field by field: `for (let field = r.field(); field !== 0; field = r.field())`, and of each field its value
 * by one of the other methods.
 */
export class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #end: number;
  /** The kind of the field that was begun last. */
  #kind = VARINT;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  /** The number of the next field; 0 at the end of the message. */
  field(): number {
    if (this.#at === this.#end) return 0;
    const tag = this.#varint();
    const field = Math.floor(tag / 8);
    this.#kind = tag % 8;
    if (field === 0) throw new RangeError('a field of number 0');
    return field;
  }

  /** Exact up to 2^53. A negative one, which etcd never sends where we read numbers, comes out above that. */
  number(): number {
    this.#expect(VARINT);
    return this.#varint();
  }

  flag(): boolean {
    return this.number() !== 0;
  }

  /** A number of up to 64 bits as decimal text. */
  id(): string {
    this.#expect(VARINT);
    const begin = this.#at;
    const value = this.#varint();
    if (value <= Number.MAX_SAFE_INTEGER) return String(value);
    const bits = this.#bytes
      .subarray(begin, this.#at)
      .reduceRight((high, byte) => (high << 7n) | BigInt(byte & 127), 0n);
    return String(BigInt.asUintN(64, bits));
  }

  text(): string {
    const end = this.#length();
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end;
    return text;
  }

  /** A part of the answer, not a copy. */
  bytes(): Buffer {
    const end = this.#length();
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** What `read` makes of a message inside this one. It must read to its end. */
  message<T>(read: (reader: Reader) => T): T {
    const end = this.#length();
    const outer = this.#end;
    this.#end = end;
    const value = read(this);
    this.#end = outer;
    this.#at = end;
    return value;
  }

  /** Reads over the field's value. */
  skip(): void {
    switch (this.#kind) {
      case VARINT:
        this.#varint();
        return;
      case LENGTH:
        this.#at = this.#length();
        return;
      case FIXED32:
        this.#at = this.#upTo(4);
        return;
      case FIXED64:
        this.#at = this.#upTo(8);
        return;
      default:
        throw new RangeError(`a field of kind ${this.#kind}`);
    }
  }

  #expect(kind: number): void {
    if (this.#kind !== kind) throw new RangeError(`a field of kind ${this.#kind}, not ${kind}`);
  }

  #length(): number {
    this.#expect(LENGTH);
    return this.#upTo(this.#varint());
  }

  #upTo(length: number): number {
    const end = this.#at + length;
    if (end > this.#end) throw new RangeError('a field that is cut short');
    return end;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      if (this.#at === this.#end) throw new RangeError('a number that is cut short');
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      if (byte < 128) return value + byte * scale;
      value += (byte - 128) * scale;
      scale *= 128;
    }
    throw new RangeError('a number of more than 64 bits');
  }
}
