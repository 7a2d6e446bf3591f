import { expect, test } from "vitest";
import { NotFoundError } from "../../../src/errors.ts";
import { StackThread } from "../../../src/mount/kernel/stack-thread.ts";
import type { VerityDigest } from "../../../src/verity/verity-digest.ts";

test("what stops the thread that mounts is thrown as it was, before anything is mounted", async () => {
  const digest = "0".repeat(64) as VerityDigest;
  const image = new SharedArrayBuffer(4096);
  const thread = new StackThread({ image, digest, stores: ["/nonexistent/store"] });
  await thread.ready();
  const job = { source: "sealfs:test", target: "/nonexistent", requireVerity: false, objects: 0 };
  const error = await thread.mount(job).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error).toMatchObject({ code: "NO_STORE" });
});
