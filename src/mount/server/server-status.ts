/**
 * What a server process says once to the command that started it: that it has mounted, or why not.
 *
 * @module
 */
import { closeSync, writeSync } from "node:fs";
import { type EncodedError, decodeError, encodeError } from "../../error-transfer.ts";
import { SystemError } from "../../errors.ts";
import { type TransportName, transportNames } from "../../fuse/transport.ts";
import { STATUS_FD } from "./server-input.ts";

/** A mount that is live, as its server describes it to the command. */
export interface LiveStatus {
  /** How FUSE is spoken, where it is. */
  readonly transport: TransportName | undefined;
  /** The device number, as the list of mounts has it. */
  readonly device: string;
  readonly log: string | undefined;
}

/** The document on {@link STATUS_FD}. */
type ServerStatus = { readonly live: LiveStatus } | { readonly error: EncodedError };

/** @throws when the command that wants this mount has ended: then nobody wants it */
export function tellLive(live: LiveStatus): void {
  tell({ live });
}

/** Tells why there is no mount, if the command still listens. */
export function tellFailure(error: unknown): void {
  try {
    tell({ error: encodeError(error) });
  } catch {
    // it has ended
  }
}

let isTold = false;

function tell(status: ServerStatus): void {
  if (isTold) return;
  isTold = true; // the number may soon be that of another file
  writeSync(STATUS_FD, JSON.stringify(status));
  closeSync(STATUS_FD);
}

const SENDER = "mount server";

/**
 * Reads what a server has said.
 *
 * @throws what the server was stopped by; {@link SystemError} `IO` for anything that no server says
 */
export function parseServerStatus(text: string): LiveStatus {
  const { live, error } = parse(text);
  if (error !== undefined) throw decodeError(error, SENDER);
  const { transport, device, log } = fieldsOf(live);
  const isLive =
    (transport === undefined || transportNames.some((name) => name === transport)) &&
    typeof device === "string" &&
    /^\d+:\d+$/.test(device) &&
    (log === undefined || typeof log === "string");
  if (!isLive) throw unreadable(text);
  return { transport: transport as TransportName | undefined, device, log };
}

type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): Fields {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    throw unreadable(text);
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function unreadable(text: string): SystemError {
  const start = JSON.stringify(text.slice(0, 200));
  return new SystemError("IO", `${SENDER}: expected its status, got ${start}`);
}
