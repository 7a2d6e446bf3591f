/**
 * What the files of a mount may do: by default programs run, but without the rights of their owner, and
 * devices do not work (mount(8): `nosuid`, `nodev`).
 *
 * @module
 */

/** How a mount differs from the default. */
export interface MountRights {
  /** No programs are run from it. */
  readonly noexec?: boolean | undefined;
  /** Set-user-ID and set-group-ID bits and file capabilities count. */
  readonly suid?: boolean | undefined;
  /** Devices work. */
  readonly dev?: boolean | undefined;
}

/** The same numbers in mount(2) (`MS_*`) and fsmount(2) (`MOUNT_ATTR_*`). */
export const MountAttribute = { READ_ONLY: 1, NO_SUID: 2, NO_DEV: 4, NO_EXEC: 8 } as const;

/** These, of what has others as well. */
export function rightsOf({ noexec, suid, dev }: MountRights): MountRights {
  return { noexec, suid, dev };
}

/** As bits. */
export function rightsBits({ noexec, suid, dev }: MountRights): number {
  return (
    (suid === true ? 0 : MountAttribute.NO_SUID) |
    (dev === true ? 0 : MountAttribute.NO_DEV) |
    (noexec === true ? MountAttribute.NO_EXEC : 0)
  );
}

/** As options of mount(8). */
export function rightsOptions({ noexec, suid, dev }: MountRights): string[] {
  return [
    suid === true ? "suid" : "nosuid",
    dev === true ? "dev" : "nodev",
    ...(noexec === true ? ["noexec"] : []),
  ];
}
