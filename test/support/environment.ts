/**
 * Keeps what a machine or a user has set in the environment away from the tests and from the commands
 * that they run. It has to happen before the tests' processes start: Node reads some of it only then.
 *
 * @module
 */

/** Variables that would change what sealfs, Node or a reference tool does; not what tests are told by. */
const NAMES =
  /^(?:NODE_(?:EXTRA_CA_CERTS|OPTIONS|TLS_REJECT_UNAUTHORIZED|USE_SYSTEM_CA)|SSL_CERT_(?:FILE|DIR)|(?:https?|all|no)_proxy|SEALFS_(?!BED$|POWER_LOSS$).*|XDG_(?!CACHE_HOME).*|DOCKER_CONFIG|DOCKER_AUTH_CONFIG|REGISTRY_AUTH_FILE|CONTAINERS_REGISTRIES_CONF|REGISTRIES_CONFIG_PATH|SOURCE_DATE_EPOCH|TZ|LANG|LANGUAGE|LC_.*|SSH_AUTH_SOCK|FAKETIME.*|LISTEN_.*|NOTIFY_SOCKET)$/i;

/** The variables of `environment` that tests must not see. */
export function foreignVariables(environment: NodeJS.ProcessEnv): string[] {
  return Object.keys(environment).filter((name) => NAMES.test(name));
}

/** Takes them out of this process, and so out of those that it starts. */
export function cleanEnvironment(): void {
  for (const name of foreignVariables(process.env)) delete process.env[name];
}
