/**
 * What people, tools and systems call the platforms that Go's names are used for in images
 * (containerd, platforms/database.go; Debian's and the kernel's names).
 *
 * @module
 */

/** Go's names, each with the others for it; behind a slash the variant that a name means. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  amd64: ["x86_64", "x86-64", "x64"],
  "386": ["i386", "i486", "i586", "i686", "x86", "ia32"],
  arm64: ["aarch64", "arm64v8"],
  "arm/v5": ["armv5", "armv5l", "armv5tel", "arm32v5"],
  "arm/v6": ["armel", "armv6", "armv6l", "arm32v6"],
  "arm/v7": ["armhf", "armv7", "armv7l", "armv7hl", "arm32v7"],
  "arm/v8": ["armv8l"],
  ppc64le: ["ppc64el", "powerpc64le"],
  ppc64: ["powerpc64"],
  mips: [],
  mipsle: ["mipsel"],
  mips64: [],
  mips64le: ["mips64el"],
  riscv64: [],
  s390x: [],
  loong64: ["loongarch64"],
  wasm: [],
};

/** Go's name by any of the names, with the variant that it means. */
export const architectures: ReadonlyMap<string, readonly [name: string, variant?: string]> =
  new Map(
    Object.entries(ARCHITECTURES).flatMap(([meant, others]) => {
      const [name = "", ...variant] = meant.split("/");
      const own: [string, [string, string?]] = [name, [name]];
      return [own, ...others.map((other): typeof own => [other, [name, variant[0]!]])];
    }),
  );
