/**
 * The options by which commands learn how to talk to registries.
 *
 * @module
 */
import { type Command, Option } from "commander";
import type { RegistryOptions } from "../oci/registry-session.ts";

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
