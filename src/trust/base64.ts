/**
 * Strict base64. Node's decoder skips unknown characters and accepts both alphabets at once, so
 * many texts decode to the same bytes. Here a byte string has exactly one text per alphabet.
 *
 * Spec: RFC 4648, sections 3.2, 3.3, 3.5, 4 and 5.
 *
 * @module
 */

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * The bytes of `text`, or undefined when it is not base64: a foreign character, a mix of the two
 * alphabets, missing or surplus padding, or bits left over that are not zero.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  return decodeWith(standardValues, text) ?? decodeWith(urlSafeValues, text);
}

function decodeWith(values: readonly (number | undefined)[], text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let i = 0; i < digits; i++) {
    const value = values[text.charCodeAt(i)];
    if (value === undefined) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = held >> bits;
    }
  }
  const left = held & ((1 << bits) - 1);
  return left === 0 ? bytes : undefined;
}

/** The standard alphabet, with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i]!, bytes[i + 1], bytes[i + 2]];
    const group = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    text += STANDARD[group >> 18]! + STANDARD[(group >> 12) & 63]!;
    text += b === undefined ? "=" : STANDARD[(group >> 6) & 63]!;
    text += c === undefined ? "=" : STANDARD[group & 63]!;
  }
  return text;
}

/** The standard alphabet, without padding: how OpenSSH writes fingerprints. */
export function encodeBase64Unpadded(bytes: Uint8Array): string {
  return encodeBase64(bytes).replace(/=+$/, "");
}

/** Character code to value. */
function tableOf(alphabet: string): readonly (number | undefined)[] {
  const table: (number | undefined)[] = Array.from({ length: 128 });
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i;
  return table;
}

const standardValues = tableOf(STANDARD);
const urlSafeValues = tableOf(URL_SAFE);
