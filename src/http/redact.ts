/**
 * URLs in messages: without credentials, and without the query, which is where signed URLs keep theirs.
 *
 * @module
 */

export function redact(url: URL | string): string {
  const { protocol, host, pathname } = typeof url === "string" ? new URL(url) : url;
  return `${protocol}//${host}${pathname}`;
}
