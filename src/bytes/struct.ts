/**
 * Fixed little-endian layouts, declared once in disk order; reader and writer are derived.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** One field: its width in bytes and both directions. */
export interface Field<T> {
  readonly width: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

export const u8: Field<number> = {
  width: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
};
export const u16: Field<number> = {
  width: 2,
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value, true),
};
export const u32: Field<number> = {
  width: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
};
export const i32: Field<number> = {
  width: 4,
  read: (view, at) => view.getInt32(at, true),
  write: (view, at, value) => view.setInt32(at, value, true),
};
export const u64: Field<bigint> = {
  width: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};
export const i64: Field<bigint> = {
  width: 8,
  read: (view, at) => view.getBigInt64(at, true),
  write: (view, at, value) => view.setBigInt64(at, value, true),
};

/** `width` raw bytes; shorter values are padded with zeros. */
export function raw(width: number): Field<Uint8Array> {
  return {
    width,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, width).slice(),
    write: (view, at, value) => {
      if (value.length > width) {
        throw new RangeError(`field of ${width} bytes: got ${value.length}`);
      }
      const target = new Uint8Array(view.buffer, view.byteOffset + at, width);
      target.fill(0).set(value);
    },
  };
}

/** The value a layout decodes to. */
export type Decoded<F> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** A declared layout: `size` bytes, both directions. */
export interface Struct<F> {
  readonly name: string;
  readonly size: number;
  /** Offset of each field from the start. */
  readonly offsets: { readonly [K in keyof F]: number };
  /** @throws {@link FormatError} `TRUNCATED` when fewer than `size` bytes are left */
  decode(bytes: Uint8Array, at?: number): Decoded<F>;
  /** A new array of `size` bytes. */
  encode(value: Decoded<F>): Uint8Array;
  /** Writes into `bytes` at `at`; the caller has made room. */
  encodeInto(bytes: Uint8Array, at: number, value: Decoded<F>): void;
}

/**
 * Declares a layout. Refuses to load when the fields do not add up to `size`, so a slip of the pen
 * is found at import.
 */
export function struct<const F extends Record<keyof F, Field<any>>>(
  name: string,
  size: number,
  fields: F,
): Struct<F> {
  const offsets: Record<string, number> = {};
  const table: { key: string; at: number; field: Field<unknown> }[] = [];
  let end = 0;
  for (const [key, field] of Object.entries<Field<unknown>>(fields)) {
    offsets[key] = end;
    table.push({ key, at: end, field });
    end += field.width;
  }
  if (end !== size) throw new TypeError(`${name}: fields take ${end} bytes, not ${size}`);

  const viewOf = (bytes: Uint8Array) =>
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const encodeInto = (bytes: Uint8Array, at: number, value: Decoded<F>) => {
    const view = viewOf(bytes);
    const values = value as Record<string, unknown>;
    for (const { key, at: offset, field } of table) field.write(view, at + offset, values[key]);
  };
  return {
    name,
    size,
    offsets: offsets as Struct<F>["offsets"],
    decode(bytes, at = 0) {
      if (at < 0 || at + size > bytes.length) {
        const have = Math.max(0, bytes.length - at);
        throw new FormatError("TRUNCATED", `${name} at ${at}: need ${size} bytes, have ${have}`);
      }
      const view = viewOf(bytes);
      const out: Record<string, unknown> = {};
      for (const { key, at: offset, field } of table) out[key] = field.read(view, at + offset);
      return out as Decoded<F>;
    },
    encode(value) {
      const bytes = new Uint8Array(size);
      encodeInto(bytes, 0, value);
      return bytes;
    },
    encodeInto,
  };
}
