import { afterEach, expect, test, vi } from "vitest";
import { RingReader, RingWriter, createRing } from "../../../src/oci/layer/slab-ring.ts";

afterEach(() => vi.restoreAllMocks());

async function rest(reader: RingReader): Promise<string> {
  let text = "";
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
    text += Buffer.from(chunk).toString();
  }
  return text;
}

test.each([1, 2, 3])(
  "what is handed over while the reader looks is not lost with the end (at its look %i)",
  async (look) => {
    const memory = createRing();
    const [reader, writer] = [new RingReader(memory), new RingWriter(memory)];
    const load = Atomics.load.bind(Atomics) as (words: Int32Array, at: number) => number;
    let looks = 0;
    vi.spyOn(Atomics, "load").mockImplementation(((words: Int32Array, at: number) => {
      const seen = load(words, at);
      // The other thread does all of its work just after.
      if (words instanceof Int32Array && ++looks === look) {
        writer.write(Buffer.from("the last slab"));
        writer.end("well");
      }
      return seen;
    }) as never);
    expect(await rest(reader)).toBe("the last slab");
    expect(reader.ending).toBe("well");
  },
);
