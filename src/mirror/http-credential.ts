/**
 * Credentials for plain web servers, from where docker and podman keep those for registries.
 *
 * @module
 */
import { NotFoundError, UsageError } from "../errors.ts";
import { findCredential } from "../oci/registry/credentials.ts";

/**
 * The `Authorization` for a mirror; undefined when no credential is kept for its host. `file` stands
 * in for the usual files; `onProblem` hears of a helper that could not be asked.
 *
 * @throws {@link UsageError} when it would go over plain http to another machine
 * @throws {@link FormatError} for a file that is not as it has to be
 */
export async function authorizationFor(
  url: URL,
  file: string | undefined,
  onProblem?: (message: string) => void,
): Promise<string | undefined> {
  const credential = await find(url, file, onProblem);
  if (credential === undefined || !("user" in credential)) return undefined;
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !isHere) {
    throw new UsageError("USAGE", `mirror ${url.href}: credentials would go over plain http`, {
      hint: "use https, or remove the credentials of that host",
    });
  }
  const { user, password } = credential;
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

async function find(
  url: URL,
  file: string | undefined,
  onProblem: ((message: string) => void) | undefined,
) {
  try {
    const path = url.pathname.split("/").filter((part) => part !== "");
    return await findCredential(url.host, path.join("/"), { file, onProblem });
  } catch (error) {
    // A mirror may do without what an environment variable names.
    if (file === undefined && error instanceof NotFoundError) return undefined;
    throw error;
  }
}
