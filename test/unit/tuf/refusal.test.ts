/** What tuf-js refuses, by its own classes and words: each has to be recognised for what it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BadVersionError, ExpiredMetadataError, RepositoryError } from "tuf-js/dist/error.js";
import { beforeEach, expect, test } from "vitest";
import { TrustError } from "../../../src/errors.ts";
import { openPlace } from "../../../src/tuf/place.ts";
import { updateRepository } from "../../../src/tuf/update.ts";
import { TufRepository } from "../../support/tuf.ts";
import { mallory, now } from "../../support/trust.ts";
import { scratchFolder } from "../../support/scratch.ts";

const PAST = "2026-09-01T00:00:00Z";

let folder: string;
let repository: TufRepository;
beforeEach(() => {
  folder = scratchFolder();
  repository = new TufRepository(join(folder, "repository"));
});

/** The error that an update ends with. */
async function refusal(): Promise<TrustError> {
  const place = openPlace(repository.folder);
  const root = readFileSync(repository.root);
  const target = { place, folder: join(folder, "memory"), root };
  const outcome = await updateRepository(target, now, async () => "accepted").catch(
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(TrustError);
  return outcome as TrustError;
}
/** What was seen is remembered. */
async function see(): Promise<void> {
  const place = openPlace(repository.folder);
  const root = readFileSync(repository.root);
  await updateRepository({ place, folder: join(folder, "memory"), root }, now, async () => {});
}
const republish = () => repository.publish("targets", "snapshot", "timestamp");

type Case = readonly [says: RegExp, kind: new () => Error, make: () => void | Promise<void>];

const expired: Case[] = (["root", "timestamp", "snapshot", "targets"] as const).map((role) => [
  new RegExp(`${role}.json is expired$`),
  ExpiredMetadataError,
  () => {
    repository.expires[role] = PAST;
    repository.publish("root", "targets", "snapshot", "timestamp");
  },
]);

test.each(expired)("%s means that the metadata has expired", async (says, kind, make) => {
  await make();
  const error = await refusal();
  expect(error).toMatchObject({ code: "TUF_EXPIRED", message: expect.stringMatching(says) });
  expect(error.cause).toBeInstanceOf(kind);
});

/** A role goes back, and what stands above it is signed anew. */
async function goBack(role: "timestamp" | "snapshot" | "targets"): Promise<void> {
  republish();
  await see();
  repository.versions[role] -= 2;
  const all = ["targets", "snapshot", "timestamp"] as const;
  repository.publish(...all.slice(all.indexOf(role)));
}

const backwards: Case[] = [
  [/Expected version 2, got 3$/, BadVersionError, skipRoot],
  [/New timestamp version 1 is less than/, BadVersionError, () => goBack("timestamp")],
  [/New snapshot version 1 is less than/, BadVersionError, () => goBack("snapshot")],
  [/of targets.json is less than/, BadVersionError, () => goBack("targets")],
  [/Snapshot version doesn't match timestamp$/, BadVersionError, () => putUnderNext("snapshot")],
  [/targets does not match snapshot version/, BadVersionError, () => putUnderNext("targets")],
  [/^TUF repository .*: Missing file other.json in new/, RepositoryError, loseRole],
];

test.each(backwards)("%s means that a version went back", async (says, kind, make) => {
  await make();
  const error = await refusal();
  expect(error).toMatchObject({ code: "TUF_ROLLBACK", message: expect.stringMatching(says) });
  expect(error.cause).toBeInstanceOf(kind);
});

function skipRoot(): void {
  const signed = { ...repository.signed("root"), version: 3 };
  repository.versions.root = 2;
  repository.write("root", signed);
}

/** Another version of a role than what stands above it names. */
function putUnderNext(role: "snapshot" | "targets"): void {
  republish();
  const signed = repository.signed(role);
  repository.write(role, { ...signed, version: signed.version + 1 });
}

async function loseRole(): Promise<void> {
  repository.versions.snapshot++;
  const snapshot = repository.signed("snapshot");
  repository.write("snapshot", {
    ...snapshot,
    meta: { ...snapshot.meta, "other.json": { version: 1 } },
  });
  repository.publish("timestamp");
  await see();
  republish();
}

test.each(["timestamp", "snapshot", "targets"] as const)(
  "a %s that nobody trusted has signed is no repository at all",
  async (role) => {
    repository.write(role, repository.signed(role), [mallory]);
    const { code, message } = await refusal();
    expect(code).toBe("BAD_TUF");
    expect(message).toMatch(new RegExp(`: ${role} was signed by 0/1 keys$`));
  },
);

test("an error of an earlier file is not reported for a good one", async () => {
  await goBack("targets"); // what is remembered does not fit, and then what is offered does not
  expect((await refusal()).code).toBe("TUF_ROLLBACK");
  repository.versions.targets += 5;
  republish();
  repository.write("targets", repository.signed("targets"), [mallory]);
  expect((await refusal()).code).toBe("BAD_TUF");
});
