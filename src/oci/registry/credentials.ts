/**
 * Credentials for registries, where docker and podman keep them: `$REGISTRY_AUTH_FILE` alone when it
 * is set, else `$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json`,
 * `$DOCKER_AUTH_CONFIG` (the content of a file), `$DOCKER_CONFIG/config.json` or
 * `~/.docker/config.json`, and `~/.dockercfg`. Those for the longest part of the repository's path
 * count. Programs that keep credentials (`credHelpers`, `credsStore`, and `credential-helpers` of
 * registries.conf, before the files or after them) are asked; one that cannot be asked is as good as
 * none, which the caller is told.
 * Spec: containers-auth.json(5), containers-registries.conf(5), docker-credential-helpers.
 *
 * @module
 */
import { join } from "node:path";
import { configDirectory, homeDirectory } from "../../fs/home.ts";
import { NotFoundError } from "../../errors.ts";
import { AuthFile, type Credential } from "./auth-file.ts";
import { type HelperAnswer, TOKEN_USER, askHelper } from "./credential-helper.ts";
import { AUTH_FILES, readRegistriesConf } from "./registries-conf.ts";
import { DOCKER_HUB_KEY, isDockerHub } from "./registry-key.ts";

/** Where credentials are looked for. */
export interface CredentialPlaces {
  /** In place of the usual files. */
  readonly file?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** Hears of a helper that could not be asked, and of an entry that is broken. */
  readonly onProblem?: ((message: string) => void) | undefined;
  /** Hears of a helper for all registries that keeps nothing for this one. */
  readonly onMissing?: ((message: string) => void) | undefined;
}

interface Listeners {
  readonly onProblem: (message: string) => void;
  readonly onMissing: (message: string) => void;
}

/**
 * The credential for a repository; undefined when none is kept.
 *
 * @throws {@link FormatError} for a file that is not as it has to be
 * @throws {@link NotFoundError} `NO_FILE` for a file that was named
 */
export async function findCredential(
  host: string,
  repository: string,
  { file, env = process.env, ...listeners }: CredentialPlaces = {},
): Promise<Credential | undefined> {
  const { onProblem = () => undefined, onMissing = () => undefined } = listeners;
  const told = { onProblem, onMissing };
  for (const helper of readRegistriesConf(env).helpers) {
    const credential =
      helper === AUTH_FILES
        ? await findInFiles(host, repository, file, env, told)
        : credentialOf(await askHelper(helper, spellingsOf(host)), false, told);
    if (credential !== undefined) return credential;
  }
  return undefined;
}

async function findInFiles(
  host: string,
  repository: string,
  file: string | undefined,
  env: NodeJS.ProcessEnv,
  told: Listeners,
): Promise<Credential | undefined> {
  const named = file ?? (env["REGISTRY_AUTH_FILE"] || undefined);
  if (named !== undefined) {
    const found = AuthFile.read(named);
    if (found !== undefined) return await lookUp(found, host, repository, told);
    throw new NotFoundError("NO_FILE", `auth file ${named}: no such file, or it cannot be read`);
  }
  for (const read of usualFiles(env)) {
    const found = read();
    const credential = found && (await lookUp(found, host, repository, told));
    if (credential !== undefined) return credential;
  }
  return undefined;
}

function usualFiles(env: NodeJS.ProcessEnv): (() => AuthFile | undefined)[] {
  const home = homeDirectory(env);
  const runtime = env["XDG_RUNTIME_DIR"] || `/run/user/${process.getuid?.() ?? 0}`;
  const content = env["DOCKER_AUTH_CONFIG"];
  return [
    () => AuthFile.read(join(runtime, "containers/auth.json")),
    () => AuthFile.read(`/run/containers/${process.getuid?.() ?? 0}/auth.json`),
    () => AuthFile.read(join(configDirectory(env), "containers/auth.json")),
    () => (content ? AuthFile.parse(Buffer.from(content), "DOCKER_AUTH_CONFIG") : undefined),
    () => AuthFile.read(join(env["DOCKER_CONFIG"] || join(home, ".docker"), "config.json")),
    () => AuthFile.readLegacy(join(home, ".dockercfg")),
  ];
}

async function lookUp(
  file: AuthFile,
  host: string,
  repository: string,
  told: Listeners,
): Promise<Credential | undefined> {
  const servers = [...new Set([...spellingsOf(host), ...file.spellingsOf(host)])];
  const ask = async (name: string, isForHost: boolean) =>
    credentialOf(await askHelper(name, servers), isForHost, told);
  const helper = file.helperOf(host);
  const kept = helper === undefined ? undefined : await ask(helper, true);
  const { store } = file;
  return (
    kept ??
    file.credentialFor(host, repository, told.onProblem) ??
    (store === undefined || store === helper ? undefined : await ask(store, false))
  );
}

/** The spellings under which a helper may keep a registry. */
function spellingsOf(host: string): string[] {
  return isDockerHub(host) ? [DOCKER_HUB_KEY, "docker.io"] : [host];
}

function credentialOf(
  answer: HelperAnswer,
  isForHost: boolean,
  { onProblem, onMissing }: Listeners,
): Credential | undefined {
  if ("secret" in answer) {
    const { user, secret } = answer;
    return user === TOKEN_USER ? { identityToken: secret } : { user, password: secret };
  }
  if ("problem" in answer) onProblem(`${answer.problem}; going on without credentials from it`);
  else if (isForHost) onProblem(`${answer.missing}; going on without`);
  // That a store for all registries has none for this one is how most images are pulled.
  else onMissing(answer.missing);
  return undefined;
}
