export class Mutator {
  constructor(seed: number, words: readonly string[], unit?: number);
  below(most: number): number;
  mutate(bytes: Uint8Array, other: Uint8Array): Buffer;
}
