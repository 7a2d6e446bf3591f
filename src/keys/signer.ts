/**
 * Keys that sign, wherever they are: in a file that was read, on a machine without a network, or in
 * ssh-agent; `command-signer.ts` has those behind a command. The caller has to verify the signature.
 *
 * @module
 */
import { createConnection } from "node:net";
import { addAbortSignal } from "node:stream";
import { SystemError, TrustError, UsageError } from "../errors.ts";
import { limits } from "../limits.ts";
import { decodeBase64 } from "../trust/base64.ts";
import { SIGNATURE_SIZE } from "../trust/ed25519.ts";
import type { PublicKey } from "../trust/public-key.ts";
import { readUserFile } from "../fs/user-file.ts";

/** A key that signs. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** A wait for somebody else ends when `signal` aborts. */
  sign(message: Uint8Array, signal?: AbortSignal): Uint8Array | Promise<Uint8Array>;
}

/** Reads a signature that was made elsewhere from a file. */
export function fileSigner(path: string, publicKey: PublicKey): Signer {
  const what = `signature ${path}`;
  return {
    publicKey,
    sign: () => parseSignature(readUserFile(path, limits.keyBytes, what), what),
  };
}

// OpenSSH PROTOCOL.agent (draft-ietf-sshm-ssh-agent), sections 3, 3.6 and 5.1.
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const AGENT_TIMEOUT_MS = 120_000; // a person may have to confirm

/** The agent at `$SSH_AUTH_SOCK`, when it has the key. */
export function agentSigner(publicKey: PublicKey, socket = process.env["SSH_AUTH_SOCK"]): Signer {
  if (socket === undefined || socket === "") {
    throw new UsageError("USAGE", "ssh-agent: SSH_AUTH_SOCK is not set");
  }
  return {
    publicKey,
    async sign(message, signal) {
      const body = Buffer.concat([
        Buffer.of(SIGN_REQUEST),
        sshString(publicKey.toSshWire()),
        sshString(message),
        Buffer.alloc(4), // flags
      ]);
      const answer = await ask(socket, sshString(body), signal);
      if (answer[0] !== SIGN_RESPONSE) {
        throw new TrustError("NO_KEY", `ssh-agent: does not sign with ${publicKey.id}`, {
          hint: "ssh-add -L lists the keys that it has",
        });
      }
      const [signature] = readStrings(answer.subarray(1));
      const [type, bytes] = readStrings(signature ?? new Uint8Array(0));
      if (bytes !== undefined && new TextDecoder().decode(type) === "ssh-ed25519") {
        if (bytes.length === SIGNATURE_SIZE) return bytes;
      }
      throw new TrustError("BAD_ENCODING", "ssh-agent: expected an Ed25519 signature");
    },
  };
}

/**
 * 64 bytes, or base64 of 64 bytes with white space around.
 *
 * @throws {@link TrustError} `BAD_ENCODING`
 */
export function parseSignature(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === SIGNATURE_SIZE) return Uint8Array.from(bytes);
  const decoded = decodeBase64(new TextDecoder("latin1").decode(bytes).trim());
  if (decoded?.length === SIGNATURE_SIZE) return decoded;
  throw new TrustError(
    "BAD_ENCODING",
    `${what}: expected ${SIGNATURE_SIZE} bytes, or their base64, got ${bytes.length} bytes`,
  );
}

function sshString(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The strings one after the other, up to one that is cut off. */
function readStrings(bytes: Uint8Array): Uint8Array[] {
  const strings: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) break;
    strings.push(bytes.slice(at + 4, end));
    at = end;
  }
  return strings;
}

/** Sends one request and returns the body of the answer. */
function ask(
  socket: string,
  request: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => {
      connection.destroy();
      reject(new SystemError("IO", `ssh-agent: ${reason}`));
    };
    const connection = createConnection(socket, () => connection.write(request));
    if (signal !== undefined) addAbortSignal(signal, connection);
    connection.setTimeout(AGENT_TIMEOUT_MS, () => fail("no answer"));
    connection.on("error", (error) => fail(error.message));
    connection.on("end", () => fail("ended without an answer"));
    let got: Buffer = Buffer.alloc(0);
    connection.on("data", (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      if (got.length > limits.keyBytes) return fail("an answer that is too long");
      const [answer] = readStrings(got);
      if (answer === undefined) return;
      connection.removeAllListeners("end");
      connection.end();
      resolve(answer);
    });
  });
}
