/**
 * Programs that keep credentials: `docker-credential-NAME get` is given a server and answers with
 * its user and secret.
 *
 * Spec: docker-credential-helpers.
 *
 * @module
 */
import { type ExecFileException, execFile } from "node:child_process";
import { asObject, optionalString } from "../../bytes/json-fields.ts";
import { parseJson } from "../../bytes/json.ts";
import { FormatError, SealfsError } from "../../errors.ts";
import { limits } from "../../limits.ts";

/** What a helper said: a user and a secret, or why there are none. */
export type HelperAnswer =
  | { readonly user: string; readonly secret: string }
  /** The helper works, and keeps nothing for these servers. */
  | { readonly missing: string }
  /** It could not be asked, or broke the protocol. */
  | { readonly problem: string };

/** The user of an answer whose secret is an identity token. */
export const TOKEN_USER = "<token>";

const HELPER_MS = 30_000;

/**
 * Asks a helper for the first of `servers`, which are spellings of the same one, that it knows.
 *
 * @throws {@link FormatError} `MALFORMED` for a name that no helper can have
 */
export async function askHelper(name: string, servers: readonly string[]): Promise<HelperAnswer> {
  const program = `docker-credential-${name}`;
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    const message = `credential helper ${JSON.stringify(name)}: expected the name of a program`;
    throw new FormatError("MALFORMED", `${message} after docker-credential-`);
  }
  for (const server of servers) {
    const answer = await run(program, server);
    if (!("missing" in answer)) return answer;
  }
  return { missing: `${program} has no credentials for ${servers[0]}` };
}

function run(program: string, server: string): Promise<HelperAnswer> {
  return new Promise((resolve) => {
    const options = {
      timeout: HELPER_MS,
      killSignal: "SIGKILL", // one that hangs may not heed others
      maxBuffer: limits.authFileBytes,
      encoding: "buffer",
    } as const;
    const child = execFile(program, ["get"], options, (error, stdout, stderr) => {
      if (error === null) resolve(parseAnswer(stdout, program));
      else if (isNotFound(stdout)) resolve({ missing: "" });
      else resolve({ problem: `${program}: ${whyFailed(error, stdout, stderr)}` });
    });
    // Without a newline, as docker and podman do: some compare what they read.
    child.stdin?.on("error", () => undefined).end(server);
  });
}

/** Helpers explain on standard output. */
function isNotFound(stdout: Buffer): boolean {
  return /credentials not found/i.test(stdout.toString());
}

function whyFailed(error: ExecFileException, stdout: Buffer, stderr: Buffer): string {
  if (error.code === "ENOENT") return "no such program in PATH";
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") {
    return `its answer is over ${limits.authFileBytes} bytes`;
  }
  if (typeof error.code === "string") return error.code;
  const ended = error.killed
    ? `did not answer within ${HELPER_MS / 1000} s`
    : error.signal
      ? `killed by ${error.signal}`
      : `exit status ${error.code}`;
  const words = [stderr, stdout].map((text) => text.toString().trim()).find((text) => text !== "");
  return words === undefined ? ended : `${ended}: ${firstLine(words)}`;
}

const SHOWN_CHARS = 200;

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.slice(0, SHOWN_CHARS);
}

/** What the answer holds is secret, also when it is wrong. */
function parseAnswer(stdout: Buffer, program: string): HelperAnswer {
  if (stdout.toString().trim() === "") return { problem: `${program}: gave no answer` };
  let user: string | undefined;
  let secret: string | undefined;
  try {
    const document = parseJson(stdout, { what: program, maxBytes: limits.authFileBytes });
    const object = asObject(document, program);
    user = optionalString(object, "Username", program);
    secret = optionalString(object, "Secret", program);
  } catch (error) {
    if (!(error instanceof SealfsError)) throw error;
    return { problem: `${program}: expected a JSON object with Username and Secret` };
  }
  if (secret === undefined || secret === "") return { problem: `${program}: gave no secret` };
  return { user: user ?? "", secret };
}
