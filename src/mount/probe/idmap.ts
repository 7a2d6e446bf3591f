/**
 * Tries to show owners as other users.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { newMount } from "../../sys/fsmount.ts";
import { mapOwners, openIdNamespace } from "../../sys/idmap.ts";

/**
 * Tries it with a file system in memory; whether EROFS and FUSE can do it is told when they are mounted.
 *
 * @throws {@link SystemError} `NO_IDMAP`, `NO_KOFFI`, `PERMISSION`
 */
export function probeIdmap(): void {
  const mount = newMount("tmpfs", 0, () => undefined);
  const range = { inside: 0, outside: 100_000, count: 65_536 };
  try {
    const namespace = openIdNamespace({ uids: [range], gids: [range] });
    try {
      mapOwners(mount, namespace);
    } finally {
      closeSync(namespace);
    }
  } finally {
    closeSync(mount);
  }
}
