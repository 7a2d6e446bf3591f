/**
 * DER, the few types that key and signature containers need.
 *
 * Spec: ITU-T X.690, sections 8 and 10.
 *
 * @module
 */

/** A value with its tag and length in front. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(body.length), body]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts);
export const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes);

/** A non-negative integer below 2^53. */
export function integer(value: number): Buffer {
  let hex = value.toString(16);
  if (hex.length % 2 !== 0) hex = `0${hex}`;
  const bytes = Buffer.from(hex, "hex");
  return der(0x02, bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

/** An object identifier in dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value % 128];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) {
    digits.unshift((left % 128) + 128);
  }
  return digits;
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}

/** A value as it was read. */
export interface DerValue {
  readonly tag: number;
  /** Tag and length included. */
  readonly whole: Uint8Array;
  readonly content: Uint8Array;
}

/** The values inside the value that `bytes` starts with; fewer when one is cut off. */
export function childrenOf(bytes: Uint8Array): DerValue[] {
  const outer = valueAt(bytes, 0);
  if (outer === undefined) return [];
  const values: DerValue[] = [];
  for (let at = 0; at < outer.content.length;) {
    const value = valueAt(outer.content, at);
    if (value === undefined) break;
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

function valueAt(bytes: Uint8Array, at: number): DerValue | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const digits = first < 0x80 ? 0 : first & 0x7f;
  if (digits > 4) return undefined;
  const start = at + 2 + digits;
  const length =
    digits === 0 ? first : bytes.subarray(at + 2, start).reduce((sum, byte) => sum * 256 + byte, 0);
  if (start + length > bytes.length) return undefined;
  return {
    tag,
    whole: bytes.subarray(at, start + length),
    content: bytes.subarray(start, start + length),
  };
}
