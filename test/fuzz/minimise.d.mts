export function kindOf(error: unknown): string;
export function minimise(
  bytes: Uint8Array,
  fails: (bytes: Buffer) => boolean | Promise<boolean>,
  isLate?: () => boolean,
): Promise<Buffer>;
