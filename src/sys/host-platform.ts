/**
 * The platform of this machine, in the names that images use.
 *
 * @module
 */
import { endianness, machine } from "node:os";
import type { PlatformDemand } from "../platform/platform-match.ts";
import { type Platform, usualNames } from "../platform/platform.ts";

/** The platform of which an image is taken when nothing is said; images are for Linux. */
export function hostPlatform(): Platform {
  const architecture = process.arch === "arm" ? machine() : nodeArchitecture(process.arch);
  const host = usualNames({ os: "linux", architecture, variant: undefined }) as Platform;
  // Programs of 32 bits on a kernel of 64.
  if (process.arch === "arm" && host.architecture !== "arm") {
    return { os: "linux", architecture: "arm", variant: "v7" };
  }
  return host;
}

/** What was asked for, or else the host: this machine, where no other is named. */
export function demandOf(platform: Platform | undefined, host?: Platform): PlatformDemand {
  return platform === undefined
    ? { platform: host ?? hostPlatform(), isHost: true }
    : { platform, isHost: false };
}

/** Node's `process.arch` under a name that is known. */
function nodeArchitecture(arch: string): string {
  return endianness() === "LE" && (arch === "ppc64" || arch === "mips") ? `${arch}le` : arch;
}
