/**
 * The user's home, and where configuration lies in it. A relative path in the environment counts as none
 * (XDG Base Directory Specification, "Environment variables"): it would lead into whatever the working
 * directory is.
 *
 * @module
 */
import { userInfo } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** `$HOME`, else what the list of users says; `/` for a user who is not in it. */
export function homeDirectory(env: Environment): string {
  return absolute(env["HOME"]) ?? listedHome() ?? "/";
}

/** `$XDG_CONFIG_HOME`, or `.config` in the home. */
export function configDirectory(env: Environment): string {
  return absolute(env["XDG_CONFIG_HOME"]) ?? join(homeDirectory(env), ".config");
}

/** `$XDG_STATE_HOME`, or `.local/state` in the home. */
export function stateHome(env: Environment): string {
  return absolute(env["XDG_STATE_HOME"]) ?? join(homeDirectory(env), ".local/state");
}

function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") === true ? path : undefined;
}

function listedHome(): string | undefined {
  try {
    return absolute(userInfo().homedir);
  } catch {
    return undefined;
  }
}
