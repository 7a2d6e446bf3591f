export function resolveHeldPaths(lines: readonly string[]): string[];
