/**
 * How a command talks to registries, and which image of an index it takes.
 *
 * @module
 */
import { type Command, Option } from "commander";
import type { RegistryOptions } from "../../oci/registry/session.ts";
import type { SourceOptions } from "../../oci/source/open-source.ts";
import { type PlatformOption, platformOption } from "./platform-option.ts";
import type { Io } from "../terminal/io.ts";

/** The values of {@link declareSource}'s options. */
export interface SourceFlags extends PlatformOption, RegistryFlags {}

/** The values of {@link declareRegistry}'s options. */
export interface RegistryFlags {
  readonly authfile?: string;
  readonly caFile?: string;
  readonly tlsVerify?: "true" | "false";
}

const PLATFORM = platformOption(
  "which image of an index, such as linux/arm64/v8 (default: the only one, or this machine's)",
);

/** Adds `--platform` (another one where the command says so), `--authfile`, `--ca-file` and `--tls-verify`. */
export function declareSource(command: Command, platform: Option = PLATFORM): Command {
  return declareRegistry(command.optionsGroup("OCI image:").addOption(platform));
}

/** The same without `--platform`. */
export function declareRegistry(command: Command): Command {
  return command
    .optionsGroup("OCI image:")
    .option("--authfile <file>", "registry credentials (default: those of podman and docker)")
    .option("--ca-file <file>", "PEM certificates to trust in addition to the system's")
    .addOption(
      new Option("--tls-verify <bool>", "false: accept any certificate, or plain HTTP").choices([
        "true",
        "false",
      ]),
    );
}

export function sourceOptions(
  { platform, ...flags }: SourceFlags,
  io: Io,
): Pick<SourceOptions, "platform"> & { readonly registry: RegistryOptions } {
  return { platform, registry: registryOptions(flags, io) };
}

export function registryOptions(
  { authfile, caFile, tlsVerify }: RegistryFlags,
  io: Io,
): RegistryOptions {
  return {
    authFile: authfile,
    caFile,
    insecure: tlsVerify === undefined ? undefined : tlsVerify === "false",
    onProblem: (message) => io.log(`warning: ${message}`),
  };
}
