/**
 * The signed envelope: payload bytes, their type, and signatures over both.
 *
 * Spec: DSSE 1.0.2, `envelope.md` and `protocol.md`.
 *
 * @module
 */
import { asArray, asObject, asString, optionalString } from "../bytes/json-fields.ts";
import type { JsonObject, JsonValue } from "../bytes/json.ts";
import { TrustError } from "../errors.ts";
import { limits } from "../limits.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { refusing } from "./document.ts";
import { SIGNATURE_SIZE } from "./ed25519.ts";

/** A signature, and a hint as to which key made it. The hint is not signed and decides nothing. */
export interface EnvelopeSignature {
  readonly keyId: string;
  /** 64 bytes. */
  readonly bytes: Uint8Array;
}

/** An envelope with everything decoded, nothing verified. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/**
 * The bytes that are signed, the pre-authentication encoding: `DSSEv1`, then type and payload, each
 * with its length in bytes in front, separated by spaces (DSSE protocol, "Signature Definition").
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const type = encoder.encode(payloadType);
  const start = encoder.encode(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `);
  const message = new Uint8Array(start.length + payload.length);
  message.set(start);
  message.set(payload, start.length);
  return message;
}

/**
 * Splits signed bytes into type and payload; undefined for bytes that {@link preAuthEncoding}
 * cannot return.
 */
export function parsePreAuthEncoding(
  message: Uint8Array,
): Pick<Envelope, "payloadType" | "payload"> | undefined {
  // Only the start is text: the payload may be anything.
  const start = new TextDecoder("latin1").decode(message.subarray(0, 1024));
  const [, digits, rest] = /^DSSEv1 ([0-9]{1,3}) ([^]*)$/.exec(start) ?? [];
  if (digits === undefined || rest === undefined) return undefined;
  const typeAt = start.length - rest.length;
  const typeEnd = typeAt + Number(digits);
  const payloadType = new TextDecoder().decode(message.subarray(typeAt, typeEnd));
  const length = /^ ([0-9]{1,9}) /.exec(start.slice(typeEnd));
  if (length === null) return undefined;
  const payload = message.slice(typeEnd + length[0].length);
  // Only the canonical encoding: encoding the two again has to give the same bytes.
  const again = preAuthEncoding(payloadType, payload);
  const same = again.length === message.length && again.every((byte, i) => byte === message[i]);
  return same ? { payloadType, payload } : undefined;
}

/**
 * The envelope in a JSON object. Fields that DSSE does not define are ignored, as its specification
 * demands.
 *
 * @throws {@link TrustError} `BAD_BUNDLE` for a missing field or a wrong type; `BAD_ENCODING` for
 *   bytes that are not strict base64, no or too many signatures, or one that is not 64 bytes
 */
export function readEnvelope(object: JsonObject, what: string): Envelope {
  const fields = refusing("BAD_BUNDLE", () => ({
    payloadType: asString(object.get("payloadType"), `${what}: payloadType`),
    payload: asString(object.get("payload"), `${what}: payload`),
    signatures: asArray(object.get("signatures"), `${what}: signatures`),
  }));
  const count = fields.signatures.length;
  if (count < 1 || count > limits.signatures) {
    throw new TrustError(
      "BAD_ENCODING",
      `${what}: expected 1 to ${limits.signatures} signatures, got ${count}`,
    );
  }
  return {
    payloadType: fields.payloadType,
    payload: decode(fields.payload, `${what}: payload`),
    signatures: fields.signatures.map((value, i) =>
      readSignature(value, `${what}: signature ${i}`),
    ),
  };
}

/** The envelope as the object to write: standard base64, signatures in their order. */
export function envelopeObject(envelope: Envelope): object {
  return {
    payload: encodeBase64(envelope.payload),
    payloadType: envelope.payloadType,
    signatures: envelope.signatures.map(({ keyId, bytes }) => ({
      sig: encodeBase64(bytes),
      keyid: keyId,
    })),
  };
}

function readSignature(value: JsonValue, what: string): EnvelopeSignature {
  const { keyId, sig } = refusing("BAD_BUNDLE", () => {
    const object = asObject(value, what);
    return {
      keyId: optionalString(object, "keyid", what) ?? "",
      sig: asString(object.get("sig"), `${what}: sig`),
    };
  });
  const bytes = decode(sig, what);
  if (bytes.length !== SIGNATURE_SIZE) {
    throw new TrustError(
      "BAD_ENCODING",
      `${what}: expected ${SIGNATURE_SIZE} bytes, got ${bytes.length}`,
    );
  }
  return { keyId, bytes };
}

function decode(text: string, what: string): Uint8Array {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw new TrustError("BAD_ENCODING", `${what}: not strict base64`);
  return bytes;
}
