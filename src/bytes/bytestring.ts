/**
 * Byte strings: names, symlink targets, xattr keys and values are bytes, not text. A `ByteString`
 * holds one byte per UTF-16 unit (0 to 255), so it works as a `Map` key, `<` compares it as unsigned
 * bytes (C `strcmp` order), and V8 stores it in one byte per character.
 *
 * @module
 */

import { isControl } from "./harmless.ts";

declare const byteString: unique symbol;

/** Bytes as a string of units 0 to 255. Never text: convert at the edges. */
export type ByteString = string & { readonly [byteString]: true };

/** The bytes of `bytes` (or of a range of it) as a byte string. */
export function toByteString(bytes: Uint8Array, start = 0, end = bytes.length): ByteString {
  if (hasBuffer) {
    // Many strings are read from one array: made a Buffer once, it costs nothing here.
    const view = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return view.toString("latin1", start, end) as ByteString;
  }
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text as ByteString;
}

/** The bytes of a byte string. */
export function toBytes(text: ByteString): Uint8Array {
  if (text.length <= LOOP_MAX) {
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }
  if (hasBuffer) return Buffer.from(text, "latin1");
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}

/** Writes the bytes of `text` into `out` at `at`; the caller has made room. */
export function writeBytes(text: ByteString, out: Uint8Array, at: number): void {
  // A native call costs more than this loop for the names of most files.
  if (text.length <= LOOP_MAX || !hasBuffer) {
    for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  } else {
    latin1Write.call(out, text, at, text.length);
  }
}

/** The UTF-8 bytes of ordinary text. */
export function fromText(text: string): ByteString {
  return toByteString(new TextEncoder().encode(text));
}

/** A byte string written in the source as ASCII. */
export function ascii(text: string): ByteString {
  return text as ByteString;
}

// Pure modules also run in browsers, where the plain loops serve.
const hasBuffer = typeof Buffer !== "undefined";
/** Up to this many bytes a loop is faster than a native call. */
const LOOP_MAX = 24;
// Works on every Uint8Array, without making a Buffer of it first.
const { latin1Write } = (hasBuffer ? Buffer.prototype : {}) as unknown as {
  latin1Write: (this: Uint8Array, text: string, at: number, length: number) => number;
};

/**
 * Text for messages and listings: UTF-8 where it is valid, `\xhh` for stray bytes and those of characters
 * that a terminal acts on.
 */
export function printable(text: ByteString): string {
  let out = "";
  const decoded = new TextDecoder().decode(toBytes(text));
  // A replacement character appears where the bytes are not UTF-8: then escape byte by byte.
  const source = decoded.includes("\ufffd") ? text : decoded;
  for (const char of source) {
    const isPlain = source === decoded ? !isControl(char) : char >= " " && char < "\x7f";
    if (char === "\\") out += "\\\\";
    else if (isPlain) out += char;
    else
      out += escaped(
        source === decoded ? new TextEncoder().encode(char) : toBytes(char as ByteString),
      );
  }
  return out;
}

function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

/** Orders byte strings as unsigned bytes. */
export function compareBytes(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
