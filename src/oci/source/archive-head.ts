/**
 * What the first bytes of a file say about an archive that it may be: any, or one of an image. What
 * is compressed by gzip is looked into.
 *
 * @module
 */
import { constants, gunzipSync } from "node:zlib";
import { type ByteString, toByteString } from "../../bytes/bytestring.ts";
import { SNIFF_BYTES, isTar, sniff } from "../codec/sniff.ts";
import { memberName } from "./member-name.ts";

/** Bytes from the start that {@link archiveHead} wants: a few headers. */
export const ARCHIVE_HEAD_BYTES = 8 * SNIFF_BYTES;

const HEX = "[0-9a-f]{64}";
/** What archives of images begin with, in all forms in which tools write them. */
const MEMBER = new RegExp(
  `^(?:oci-layout$|(?:blobs/)?sha(?:256|512)(?:/|$)|(?:sha256:)?${HEX}(?:/|$|\\.(?:json|tar)))`,
);

/** Undefined for what begins as no archive. */
export function archiveHead(head: Uint8Array): "image" | "archive" | undefined {
  const compression = sniff(head);
  if (compression === "none" && !isTar(head)) return undefined;
  const blocks = compression === "gzip" ? inflated(head) : head;
  for (let at = 0; at + SNIFF_BYTES <= blocks.length; at += SNIFF_BYTES) {
    const block = blocks.subarray(at, at + SNIFF_BYTES);
    if (isTar(block) && MEMBER.test(nameIn(block))) return "image";
  }
  return "archive";
}

/** The name in a header, whatever may stand in front of it. */
function nameIn(header: Uint8Array): string {
  const [name = ""] = toByteString(header, 0, 100).split("\0");
  return memberName(name as ByteString);
}

/** What a part of a gzip stream gives. */
function inflated(head: Uint8Array): Uint8Array {
  try {
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }); // 1032 times at most
  } catch {
    return new Uint8Array(0);
  }
}
