export function instrument(code: string): {
  readonly code: string;
  readonly branches: number;
  readonly words: readonly string[];
};
