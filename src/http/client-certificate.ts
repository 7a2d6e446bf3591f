/**
 * Servers that want to see a certificate of ours, and how each says so: TLS has an alert for it since
 * version 1.3 only, and nginx answers with a page.
 *
 * Spec: RFC 8446, section 6.2; RFC 5246, section 7.2.2.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";
import type { TLSSocket } from "node:tls";
import { NetworkError } from "../errors.ts";
import { limits } from "../limits.ts";

/** Alerts that a server sends about its client's certificate alone. */
const ALERT =
  /_ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED)$/;

/** The error of a handshake that failed because of our certificate. */
export class ClientCertificateFault extends Error {
  /** Whether one was shown. */
  readonly wasShown: boolean;

  constructor(wasShown: boolean, cause: Error) {
    super(cause.message, { cause });
    this.wasShown = wasShown;
  }
}

/**
 * Hears how a handshake goes. What it returns tells for the handshake's error whether it is about
 * our certificate.
 */
export function watchHandshake(
  socket: TLSSocket | undefined,
  showsCertificate: boolean,
): (error: Error) => Error {
  let hasKeys = false;
  // Keys come after versions and ciphers were agreed upon.
  socket?.once("keylog", () => (hasKeys = true));
  return (error) => {
    const { code = "" } = error as NodeJS.ErrnoException;
    const isMeant = ALERT.test(code) || (hasKeys && code.endsWith("_ALERT_HANDSHAKE_FAILURE"));
    return isMeant ? new ClientCertificateFault(showsCertificate, error) : error;
  };
}

/** `error` as one that says what the server wants; undefined when it is about something else. */
export function certificateFault(error: unknown, what: string): NetworkError | undefined {
  if (error instanceof ClientCertificateFault) {
    return wanted(what, error.wasShown, { cause: error.cause });
  }
  const [, alert] = ALERT.exec((error as NodeJS.ErrnoException | undefined)?.code ?? "") ?? [];
  if (alert === undefined) return undefined;
  return wanted(what, alert !== "CERTIFICATE_REQUIRED", { cause: error });
}

/** Whether an answer may be the page that nginx has for clients without a certificate. */
export function maySayCertificate(url: URL, status: number, headers: IncomingHttpHeaders): boolean {
  return (
    status === 400 &&
    url.protocol === "https:" &&
    Number(headers["content-length"]) <= limits.httpCertificatePageBytes &&
    /^text\/html\b/.test(String(headers["content-type"]))
  );
}

/** What nginx says with that page. */
export function pageFault(page: string, what: string): NetworkError | undefined {
  if (page.includes("No required SSL certificate was sent")) return wanted(what, false, {});
  return page.includes("The SSL certificate error") ? wanted(what, true, {}) : undefined;
}

function wanted(what: string, wasShown: boolean, options: ErrorOptions): NetworkError {
  const [url = ""] = what.split(" ");
  const host = URL.canParse(url) ? new URL(url).host : "HOST:PORT";
  const message = wasShown
    ? `${what}: refuses the client certificate that it was shown`
    : `${what}: demands a client certificate, and none is kept for it`;
  return new NetworkError("TLS", message, {
    ...options,
    hint: `it belongs in ~/.config/containers/certs.d/${host}/ as NAME.cert, its key as NAME.key`,
  });
}
