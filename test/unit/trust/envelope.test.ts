/**
 * Bundles and envelopes, hostile file by hostile file: steps 1 to 5.
 *
 * Spec: docs/statement.md, "The verifier's steps".
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { limits } from "../../../src/limits.ts";
import { formatBundle, formatEnvelope, parseBundle } from "../../../src/trust/bundle.ts";
import { preAuthEncoding } from "../../../src/trust/dsse.ts";
import { Keyring } from "../../../src/trust/keyring.ts";
import { parsePublicKey } from "../../../src/trust/public-key.ts";
import { ANY_NAME } from "../../../src/trust/verify-bundles.ts";
import {
  alice,
  bundleOf,
  envelopeOf,
  hex,
  keyring,
  mallory,
  name,
  now,
  plainStatement,
  refusal,
  testKey,
  utf8,
  verifyBundle,
} from "../../support/trust.ts";

const payload = JSON.stringify(plainStatement());
const verify = (file: Uint8Array, keys = keyring) => verifyBundle(file, keys, { name, now });
const verdict = (file: Uint8Array | string, keys = keyring) =>
  refusal(() => verify(typeof file === "string" ? utf8(file) : file, keys));

/** The good bundle as a plain object, changed. */
function changed(change: (bundle: any) => void): Uint8Array {
  const bundle = JSON.parse(new TextDecoder().decode(bundleOf(payload)));
  change(bundle);
  return utf8(JSON.stringify(bundle));
}

/** A bare envelope, changed. */
function bare(change: (envelope: any) => void, keys = [alice]): Uint8Array {
  const text = new TextDecoder().decode(formatEnvelope(envelopeOf(payload, keys)));
  const envelope = JSON.parse(text);
  change(envelope);
  return utf8(JSON.stringify(envelope));
}

test("accepts the bundle it writes, and says who signed what", () => {
  const { statement, keyIds, unverified } = verify(bundleOf(payload));
  expect(statement.name).toBe(name);
  expect(statement.source?.digest).toBe(`sha256:${"c".repeat(64)}`);
  expect(statement.version).toBe(7);
  expect(keyIds).toEqual([alice.publicKey.id]);
  expect(unverified).toEqual([]);
});

test("reads what it writes", () => {
  const envelope = envelopeOf(payload);
  expect(parseBundle(formatBundle(envelope))).toEqual(envelope);
  const several = envelopeOf(payload, [alice, mallory]);
  expect(parseBundle(formatEnvelope(several))).toEqual(several);
  expect(refusal(() => formatBundle(several))).toBe("BAD_BUNDLE");
});

describe("the bytes that are signed", () => {
  const text = (type: string, body: string) =>
    new TextDecoder().decode(preAuthEncoding(type, utf8(body)));

  test("are those of the DSSE specification's vector", () => {
    expect(text("http://example.com/HelloWorld", "hello world")).toBe(
      "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
    );
  });

  test("count bytes, not characters, and keep any body", () => {
    expect(text("", "")).toBe("DSSEv1 0  0 ");
    expect(text("tÿpe", "é\n \0")).toBe("DSSEv1 5 tÿpe 5 é\n \0");
    expect(text("\u{1f600}", "")).toBe("DSSEv1 4 \u{1f600} 0 ");
  });

  test("are different for any other split into type and body", () => {
    // The signed text of type "a" and body "5 hello" is not that of type "a 5" and body "hello".
    expect(text("a", "5 hello")).not.toBe(text("a 5", "hello"));
    const confused = envelopeOf("hello", [alice], "a 5 hello");
    const file = formatBundle({ ...confused, payloadType: "a", payload: utf8("5 hello hello") });
    expect(verdict(file)).toBe("BAD_SIGNATURE");
  });

  test("with a length that has a leading zero or counts characters are refused", () => {
    const type = "application/vnd.in-toto+json";
    const odd = (message: string) => {
      const signatures = [{ keyId: alice.publicKey.id, bytes: alice.sign(utf8(message)) }];
      return formatBundle({ payloadType: type, payload: utf8(payload), signatures });
    };
    expect(verdict(odd(`DSSEv1 028 ${type} ${payload.length} ${payload}`))).toBe("BAD_SIGNATURE");
    expect(verdict(odd(`DSSEv1 28 ${type} 0${payload.length} ${payload}`))).toBe("BAD_SIGNATURE");
    expect(verdict(odd(`DSSEv1 28 ${type} ${payload.length} ${payload}`))).toBe("accepted");
    expect(verdict(odd(payload))).toBe("BAD_SIGNATURE");
  });
});

const good = new TextDecoder().decode(bundleOf(payload));
test.each<[string, string | Uint8Array]>([
  ["an empty file", ""],
  ["an empty object", "{}"],
  ["an array", "[]"],
  ["null", "null"],
  ["a text that is no JSON", "bundle"],
  ["100 000 arrays in one another", "[".repeat(100_000)],
  ["17 levels", `${'{"a":'.repeat(17)}1${"}".repeat(17)}`],
  ["a long string", `{"mediaType":"${"x".repeat(limits.envelopeBytes)}"}`],
  ["a byte over the limit", good + " ".repeat(limits.envelopeBytes + 1 - good.length)],
  ["bytes that are not UTF-8", hex("7b22ff223a317d")],
  ["a byte order mark", `\ufeff${good}`],
  ["something behind", `${good}{}`],
  ["a comment", `/* bundle */${good}`],
  ["a comma at the end", good.replace("}}", "},}")],
  ["single quotes", good.replaceAll('"', "'")],
  ["a name twice", good.replace('"payload":', '"payload":"","payload":')],
  ["__proto__", good.replace('"payload":', '"__proto__":{},"payload":')],
  ["an escaped __proto__", good.replace('"payload":', '"\\u005f_proto__":{},"payload":')],
  ["constructor", good.replace('"payload":', '"constructor":1,"payload":')],
  ["an object for a text", good.replace(/"payload":"[^"]*"/, '"payload":{}')],
  ["another media type", good.replace("v0.3+json", "v0.2+json")],
  ["a media type in upper case", good.replace("application/vnd.dev", "Application/vnd.dev")],
  ["no hint", good.replace('"hint"', '"hunt"')],
  ["no key", good.replace('"publicKey"', '"certificate"')],
  ["no verification material", good.replace('"verificationMaterial"', '"material"')],
  ["no envelope", good.replace('"dsseEnvelope"', '"messageSignature"')],
  ["two kinds of content", good.replace('"dsseEnvelope"', '"messageSignature":{},"dsseEnvelope"')],
  ["an envelope beside the envelope", good.replace("{", '{"payload":"","signatures":[],')],
  ["signatures that are no list", good.replace(/"signatures":\[(.*)\]/, '"signatures":$1')],
  ["a hint at another key than the keyid", good.replace(alice.publicKey.id, mallory.publicKey.id)],
])("refuses %s for a bundle", (_, file) => {
  expect(verdict(file)).toBe("BAD_BUNDLE");
});

test("a file of exactly the limit is read", () => {
  expect(verdict(good + " ".repeat(limits.envelopeBytes - good.length))).toBe("accepted");
});

test("a name of JavaScript's objects changes nothing for other objects", () => {
  verdict(good.replace('"payload":', '"__proto__":{"polluted":1},"payload":'));
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

test.each<[string, (text: string) => string]>([
  ["a star", (text) => `*${text.slice(1)}`],
  ["a space", (text) => ` ${text}`],
  ["a newline", (text) => `${text}\n`],
  ["no padding", (text) => text.replace(/=+$/, "")],
  ["padding too much", (text) => `${text}=`],
  ["bits left over", (text) => text.replace(/A==$/, "B==")],
])("refuses base64 with %s", (_, change) => {
  // 64 bytes end in one digit of four bits that count and two characters of padding.
  const signature = changed((bundle) => {
    const [entry] = bundle.dsseEnvelope.signatures;
    entry.sig = change(entry.sig.replace(/.==$/, "A=="));
  });
  expect(verdict(signature)).toBe("BAD_ENCODING");
  if (change("AAAA") === "AAAA") return; // this length has no padding to change
  const body = changed((bundle) => {
    bundle.dsseEnvelope.payload = change(bundle.dsseEnvelope.payload);
  });
  expect(["BAD_ENCODING", "BAD_SIGNATURE"]).toContain(verdict(body));
});

test("base64 of either alphabet is accepted, but not a mix of both", () => {
  const long = JSON.stringify({ ...plainStatement(), more: "~?>~?>\u{1f600}~~~???" });
  const text = new TextDecoder().decode(bundleOf(long));
  const urlSafe = text.replace(/"payload":"([^"]*)"/, (whole) =>
    whole.replaceAll("+", "-").replaceAll("/", "_"),
  );
  expect(urlSafe).not.toBe(text);
  expect(verdict(urlSafe)).toBe("accepted");
  expect(verdict(text.replace(/"payload":"/, '"payload":"+/-_'))).toBe("BAD_ENCODING");
});

test.each([0, 63, 65, 128])("refuses a signature of %i bytes", (length) => {
  const sig = Buffer.alloc(length, 1).toString("base64");
  expect(verdict(changed((bundle) => (bundle.dsseEnvelope.signatures[0].sig = sig)))).toBe(
    "BAD_ENCODING",
  );
});

test("an envelope without signatures is refused, and a bundle with more than one", () => {
  expect(verdict(changed((bundle) => (bundle.dsseEnvelope.signatures = [])))).toBe("BAD_ENCODING");
  const twice = changed((bundle) => {
    const { signatures } = bundle.dsseEnvelope;
    signatures.push(signatures[0]);
  });
  expect(verdict(twice)).toBe("BAD_ENCODING");
});

test("refuses 65 signatures before checking any of them", () => {
  const many = (count: number) =>
    bare((envelope) => {
      envelope.signatures = Array.from({ length: count }, () => envelope.signatures[0]);
    });
  expect(verdict(many(64))).toBe("accepted");
  expect(verdict(many(65))).toBe("BAD_ENCODING");
  expect(verdict(many(5_000))).toBe("BAD_ENCODING");
});

describe("the key id", () => {
  test("decides nothing: wrong, empty or absent, the right key is found", () => {
    const withId = (keyid: unknown) => bare((envelope) => (envelope.signatures[0].keyid = keyid));
    const both = new Keyring([mallory.publicKey, alice.publicKey]);
    for (const keyid of [mallory.publicKey.id, "", undefined, "nonsense"]) {
      expect(verify(withId(keyid), both).keyIds).toEqual([alice.publicKey.id]);
    }
    expect(verdict(withId("x".repeat(limits.envelopeBytes)), both)).toBe("BAD_BUNDLE");
  });

  test("does not make a signature by an unknown key trusted", () => {
    const file = bare((envelope) => (envelope.signatures[0].keyid = alice.publicKey.id), [mallory]);
    expect(verdict(file)).toBe("BAD_SIGNATURE");
    expect(verdict(bundleOf(payload, mallory))).toBe("UNTRUSTED_KEY");
  });
});

describe("an envelope with several signatures", () => {
  const both = new Keyring([mallory.publicKey, alice.publicKey]);

  test("is accepted with one good signature, and the others are reported", () => {
    const strangers = verify(formatEnvelope(envelopeOf(payload, [testKey(9), alice])));
    expect(strangers.keyIds).toEqual([alice.publicKey.id]);
    expect(strangers.unverified).toEqual([testKey(9).publicKey.id]);
    const broken = bare(
      (envelope) => (envelope.signatures[0].sig = envelope.signatures[1].sig),
      [mallory, alice],
    );
    // Both signatures are now by the one key, whatever the ids say.
    expect(verify(broken, both).keyIds).toEqual([alice.publicKey.id]);
  });

  test("counts keys, not signatures", () => {
    const twice = bare((envelope) => envelope.signatures.push(envelope.signatures[0]));
    expect(verify(twice, both).keyIds).toEqual([alice.publicKey.id]);
    const each = formatEnvelope(envelopeOf(payload, [alice, mallory, alice]));
    expect(verify(each, both).keyIds).toEqual([mallory.publicKey.id, alice.publicKey.id]);
  });
});

test.each([
  "application/json",
  "application/vnd.in-toto+JSON",
  "application/vnd.in-toto+json ",
  "application/vnd.in-toto.bootstrap+json",
  "",
])("refuses a rightly signed payload of type %j", (type) => {
  expect(verdict(bundleOf(payload, alice, type))).toBe("BAD_PAYLOAD_TYPE");
});

test("a signature does not match once the payload type is changed", () => {
  const file = changed((bundle) => (bundle.dsseEnvelope.payloadType = "application/json"));
  expect(verdict(file)).toBe("BAD_SIGNATURE");
});

test("unknown fields of bundle and envelope are ignored", () => {
  const file = changed((bundle) => {
    bundle.extra = 1;
    bundle.verificationMaterial.tlogEntries = [];
    bundle.dsseEnvelope.extra = { deep: [1] };
    bundle.dsseEnvelope.signatures[0].extra = "";
  });
  expect(verdict(file)).toBe("accepted");
});

test("hints of other tools are accepted: cosign names the key by the hash of its SPKI", () => {
  const file = changed((bundle) => {
    bundle.verificationMaterial.publicKey.hint = "n2Zkq0xyp1kBHNVQb2Az1MG0C5Q8yg1FVr2hn5Z1B1o=";
    delete bundle.dsseEnvelope.signatures[0].keyid;
  });
  expect(verdict(file)).toBe("accepted");
});

test("a bundle that cosign signed is refused: Ed25519ph, whatever key it names", () => {
  const file = new URL("../../vectors/trust/cosign-ed25519ph.json", import.meta.url);
  const vector = JSON.parse(readFileSync(file, "utf8")) as { key: string; bundle: string };
  const key = parsePublicKey(vector.key);
  const envelope = parseBundle(utf8(vector.bundle));
  expect(envelope.signatures).toHaveLength(1);
  expect(refusal(() => verify(utf8(vector.bundle), new Keyring([key])))).toBe("UNTRUSTED_KEY");
  const named = { ...envelope, signatures: [{ ...envelope.signatures[0]!, keyId: key.id }] };
  expect(refusal(() => verify(formatBundle(named), new Keyring([key])))).toBe("BAD_SIGNATURE");
});

test("a flipped bit in any byte of a bundle is refused", () => {
  const file = bundleOf(payload);
  const accepted: number[] = [];
  // Every bit with SLOW=1; else one of each byte, each of the eight places in turn.
  for (let bit = 0; bit < file.length * 8; bit += process.env["SLOW"] ? 1 : 9) {
    const flipped = file.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    if (refusal(() => verifyBundle(flipped, keyring, { name: ANY_NAME, now })) === "accepted") {
      accepted.push(bit);
    }
  }
  expect(accepted).toEqual([]);
});
