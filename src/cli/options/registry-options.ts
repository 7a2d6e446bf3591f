/**
 * The options by which commands learn how to talk to registries.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { parsePlatform } from "../../oci/platform.ts";
import type { RegistryOptions } from "../../oci/registry/session.ts";
import type { SourceOptions } from "../../oci/source/open-source.ts";

/** The values of {@link declareRegistry}'s options. */
export interface RegistryFlags {
  readonly authfile?: string;
  readonly caFile?: string;
  readonly tlsVerify?: "true" | "false";
}

/** Adds `--authfile`, `--ca-file` and `--tls-verify`. */
export function declareRegistry(command: Command): Command {
  return command
    .option("--authfile <file>", "credentials (default: where podman and docker keep theirs)")
    .option("--ca-file <file>", "PEM certificates to trust beside the system's")
    .addOption(
      new Option("--tls-verify <bool>", "false: any certificate, or plain http").choices([
        "true",
        "false",
      ]),
    );
}

export function registryOptions({ authfile, caFile, tlsVerify }: RegistryFlags): RegistryOptions {
  return { authFile: authfile, caFile, insecure: tlsVerify === "false" };
}

/** The values of {@link declareSource}'s options. */
export interface SourceFlags extends RegistryFlags {
  readonly platform?: string;
}

/** Adds what an OCI image is opened with that another option names: which one, and how. */
export function declareSource(command: Command): Command {
  return declareRegistry(
    command.option("--platform <os/arch>", "which image of an index, such as linux/arm64/v8"),
  );
}

export function sourceOptions(flags: SourceFlags): SourceOptions {
  const { platform } = flags;
  return {
    platform: platform === undefined ? undefined : parsePlatform(platform),
    registry: registryOptions(flags),
  };
}
