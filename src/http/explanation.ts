/**
 * What a server says about an error, in its own words, made harmless: they are shown to people.
 *
 * Spec: OCI distribution spec 1.1, "Error Codes"; RFC 6749, 5.2.
 *
 * @module
 */
import { limits } from "../limits.ts";
import type { HttpResponse } from "./client.ts";
import { timeouts } from "./timeouts.ts";

const SHOWN_CHARS = 300;

/** The words as the end of a message, `: …`; empty for an answer that has none for people. */
export async function explanation(response: HttpResponse): Promise<string> {
  let timer: NodeJS.Timeout;
  const silence = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(""), timeouts.wordsMs);
  });
  try {
    const text = await Promise.race([textOf(response.body), silence]);
    const words = wordsOf(text, response.headers["content-type"]);
    return words === "" ? "" : `: ${words}`;
  } catch {
    return "";
  } finally {
    clearTimeout(timer!);
    void response.discard();
  }
}

/** Nothing of what is too long: half a document says nothing. */
async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let left = limits.httpErrorBytes;
  for await (const chunk of body) {
    left -= chunk.length;
    if (left < 0) return "";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** At most 300 characters. A page of HTML says nothing; plain text counts by its first line. */
export function wordsOf(text: string, type: string | readonly string[] | undefined): string {
  const isPlain = typeof type === "string" && /^text\/plain\b/i.test(type);
  const words = wordsOfJson(text) ?? (isPlain ? text.trim().split("\n", 1)[0]! : "");
  // Neither control characters nor such as turn the direction of what follows.
  return words
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, SHOWN_CHARS);
}

interface Told {
  readonly code?: unknown;
  readonly message?: unknown;
}

/** What registries, token servers and others have in their documents; undefined for no document. */
function wordsOfJson(text: string): string | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof document !== "object" || document === null) return "";
  const fields = document as Record<string, unknown>;
  const list = Array.isArray(fields["errors"]) ? (fields["errors"] as unknown[]) : [];
  const told = list.filter((each): each is Told => typeof each === "object" && each !== null);
  const pairs = [
    ...told.map(({ code, message }) => [code, message]),
    [fields["error"], fields["error_description"]],
    [fields["message"]],
    [fields["details"]],
  ];
  return pairs
    .map((pair) => pair.filter((word) => typeof word === "string" && word !== "").join(": "))
    .filter((words) => words !== "")
    .join("; ");
}
