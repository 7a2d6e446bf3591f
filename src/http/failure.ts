/**
 * What undici, TLS and sockets throw, as errors that say what it means for us.
 *
 * @module
 */
import { NetworkError, SealfsError } from "../errors.ts";
import { certificateFault } from "./client-certificate.ts";

/** What OpenSSL's verification calls a certificate that does not hold. */
const CERTIFICATE =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_|INVALID_PURPOSE|ERR_TLS_)/;

/** How sockets say that the other side has closed them. */
const CLOSED: ReadonlySet<string | undefined> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/** Whether a request failed without an answer, as on a connection that its server no longer keeps. */
export function wasKeptConnection(error: unknown): boolean {
  if (!(error instanceof NetworkError) || error.code !== "UNREACHABLE") return false;
  return CLOSED.has((error.cause as NodeJS.ErrnoException | undefined)?.code);
}

/** `error` as one of ours; `what` is the redacted URL, `begun` whether an answer had begun. */
export function networkFailure(error: unknown, what: string, begun: boolean): Error {
  if (error instanceof SealfsError) return error;
  const first = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const { code = "", message, name, cause } = first as NodeJS.ErrnoException;
  if (cause instanceof SealfsError) return cause;
  const certificate = certificateFault(first, what);
  if (certificate !== undefined) return certificate;
  const told = (kind: NetworkError["code"], why: string, hint?: string) =>
    new NetworkError(kind, `${what}: ${why}`, { cause: error, hint });
  if (CERTIFICATE.test(code)) {
    const hint =
      "--ca-file (caFile of mirrors.json) names the certificates of an authority of your own";
    return told("TLS", `its certificate is not trusted: ${message}`, hint);
  }
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) {
    return told("TLS", "no TLS connection: its version or ciphers are not acceptable");
  }
  if (code === "UND_ERR_HEADERS_OVERFLOW") return told("BAD_RESPONSE", "too many headers");
  // undici asserts that nobody upgrades unasked.
  if (code.startsWith("HPE_") || name === "HTTPParserError" || code === "ERR_ASSERTION") {
    return told("BAD_RESPONSE", `breaks HTTP: ${message}`);
  }
  if (code === "UND_ERR_RES_EXCEEDED_MAX_SIZE" || code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") {
    return told("WRONG_SIZE", "not as long as its Content-Length says");
  }
  if (code === "UND_ERR_CONNECT_TIMEOUT" || code === "ETIMEDOUT") {
    return told("TIMEOUT", "no connection in time");
  }
  if (begun) return told("CUT_SHORT", "the connection ended within the answer");
  const why: Record<string, string> = {
    ENOTFOUND: "no such host",
    EAI_AGAIN: "its name cannot be looked up now",
    ECONNREFUSED: "nothing answers there",
    EHOSTUNREACH: "no way to that host",
    ENETUNREACH: "no way to that network",
    ECONNRESET: "the connection was reset",
    UND_ERR_SOCKET: "the connection ended without an answer",
  };
  return told("UNREACHABLE", why[code] ?? message);
}
