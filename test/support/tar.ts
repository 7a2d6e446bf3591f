/**
 * Tar archives made by hand, block by block, so that tests can break every rule. Text is bytes: one
 * latin1 character each.
 *
 * @module
 */
import type { ByteString } from "../../src/bytes/bytestring.ts";
import type { TarEntry } from "../../src/tar/entry.ts";
import { TarParser } from "../../src/tar/parser.ts";
import type { TarOptions } from "../../src/tar/tar-options.ts";

/** Fields of a header. A number is written in octal, a string as it stands. */
export interface HeaderFields {
  name?: string;
  mode?: number | string;
  uid?: number | string;
  gid?: number | string;
  size?: number | string;
  mtime?: number | string;
  /** A right one is computed after the others are set. */
  checksum?: string;
  type?: string;
  linkName?: string;
  /** `ustar\0` + `00` unless said otherwise. */
  magic?: string;
  deviceMajor?: number | string;
  deviceMinor?: number | string;
  prefix?: string;
}

export const GNU_MAGIC = "ustar  \0";
export const V7_MAGIC = "";

/** One header block with a right checksum. */
export function header(fields: HeaderFields): Uint8Array {
  const block = Buffer.alloc(512);
  const put = (value: number | string | undefined, at: number, width: number) => {
    if (value === undefined) return;
    const text = typeof value === "string" ? value : octal(value, width);
    if (text.length > width) throw new RangeError(`field at ${at}: ${text.length} bytes`);
    block.write(text, at, "latin1");
  };
  put(fields.name ?? "file", 0, 100);
  put(fields.mode ?? 0o644, 100, 8);
  put(fields.uid ?? 0, 108, 8);
  put(fields.gid ?? 0, 116, 8);
  put(fields.size ?? 0, 124, 12);
  put(fields.mtime ?? 0, 136, 12);
  put(fields.type ?? "0", 156, 1);
  put(fields.linkName, 157, 100);
  put(fields.magic ?? "ustar\x0000", 257, 8);
  put(fields.deviceMajor, 329, 8);
  put(fields.deviceMinor, 337, 8);
  put(fields.prefix, 345, 155);
  fixChecksum(block);
  put(fields.checksum, 148, 8);
  return block;
}

/** Writes the right checksum (or the sum of signed bytes) into the header at `at`. */
export function fixChecksum(bytes: Uint8Array, at = 0, signed = false): void {
  bytes.fill(0x20, at + 148, at + 156);
  let sum = 0;
  for (let i = at; i < at + 512; i++) sum += signed ? (bytes[i]! << 24) >> 24 : bytes[i]!;
  bytes.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `, "latin1"), at + 148);
}

/** A field in GNU's base-256. */
export function base256(value: bigint, width: number): string {
  const marked = BigInt.asUintN(width * 8, value) | (1n << BigInt(width * 8 - 1));
  const hex = marked.toString(16).padStart(width * 2, "0");
  return Buffer.from(hex, "hex").toString("latin1");
}

/** A header followed by content padded to blocks; the size is set unless the fields say one. */
export function member(fields: HeaderFields, content: string | Uint8Array = ""): Uint8Array {
  const body = toBuffer(content);
  return Buffer.concat([header({ size: body.length, ...fields }), padded(body)]);
}

/** One record of a pax header, with its length. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
}

/** An extended header: from records, or with a body as it stands. */
export function pax(
  records: Readonly<Record<string, string>> | readonly (readonly [string, string])[] | string,
  type: "x" | "g" = "x",
): Uint8Array {
  if (typeof records === "string") return member({ name: "PaxHeaders/x", type }, records);
  const list = Array.isArray(records) ? records : Object.entries(records);
  const body = list.map(([k, v]) => paxRecord(k, v)).join("");
  return member({ name: "PaxHeaders/x", type }, body);
}

/** A GNU long name (`L`) or long link name (`K`). */
export function longName(name: string, type: "L" | "K" = "L"): Uint8Array {
  return member({ name: "././@LongLink", magic: GNU_MAGIC, type }, `${name}\0`);
}

/** The members followed by the end marker. */
export function archive(...members: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([...members, Buffer.alloc(1024)]);
}

export interface ReadEntry extends TarEntry {
  /** Content of a regular file; undefined when no sink was asked for. */
  readonly content: Uint8Array | undefined;
}

/** Everything that a parser says about an archive, given in chunks of `chunkSize`. */
export function readTar(
  bytes: Uint8Array,
  options: TarOptions & { chunkSize?: number } = {},
): ReadEntry[] {
  const entries: ReadEntry[] = [];
  const parser = new TarParser(
    {
      entry(entry) {
        const chunks: Uint8Array[] = [];
        const index = entries.push({ ...entry, content: undefined }) - 1;
        if (entry.type !== "file" || entry.size === 0) return undefined;
        return {
          write: (chunk) => void chunks.push(chunk.slice()),
          end: () => {
            entries[index] = { ...entries[index]!, content: concat(chunks) };
          },
        };
      },
    },
    options,
  );
  const step = options.chunkSize ?? Math.max(bytes.length, 1);
  for (let at = 0; at < bytes.length; at += step) parser.write(bytes.subarray(at, at + step));
  parser.end();
  return entries;
}

/** Text as a byte string. */
export function bytes(text: string): ByteString {
  return text as ByteString;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, "0")}\0`;
}

function toBuffer(content: string | Uint8Array): Buffer {
  return typeof content === "string" ? Buffer.from(content, "latin1") : Buffer.from(content);
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
