/** Names and messages from elsewhere, as a terminal can be given them. */
import { expect, test } from "vitest";
import { fromText, printable, toByteString } from "../../../src/bytes/bytestring.ts";
import { harmless } from "../../../src/bytes/harmless.ts";

const acting = [
  0x00, 0x07, 0x08, 0x0d, 0x1b, 0x7f, 0x80, 0x85, 0x9b, 0x9d, 0x9f, 0x61c, 0x200e, 0x200f, 0x2028,
  0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff,
].map((code) => String.fromCharCode(code));

test.each(acting.map((char) => [char.charCodeAt(0).toString(16), char]))(
  "U+%s is escaped wherever it is printed",
  (code, char) => {
    expect(harmless(`a${char}b`)).toBe(`a\\u${code.padStart(4, "0")}b`);
    const shown = printable(fromText(`a${char}b`));
    expect(shown).not.toContain(char);
    expect(shown).toMatch(/^a(?:\\x[0-9a-f]{2})+b$/);
    // In JSON it is the same text.
    expect(JSON.parse(harmless(JSON.stringify(`a${char}b`)))).toBe(`a${char}b`);
  },
);

test("other text stays as it is", () => {
  const text = "größe 日本 \u{1f600} שלום a\u200db";
  expect(harmless(`${text}\t1\n2`)).toBe(`${text}\t1\n2`);
  expect(printable(fromText(text))).toBe(text);
  expect(printable(toByteString(Uint8Array.of(0x61, 0x9b, 0x62)))).toBe("a\\x9bb");
  expect(printable(fromText("tab\tline\n"))).toBe("tab\\x09line\\x0a");
});
