/**
 * Checks a whole image: the rules of the format and, when stores are given, every object.
 *
 * @module
 */
import { type ImageProblem, ImageRuleError, verifyImage } from "../erofs/check.ts";
import type { Image } from "../erofs/image.ts";
import { type FormatError, IntegrityError } from "../errors.ts";
import type { ObjectProblem } from "./check-objects.ts";
import { readImageBytes } from "../verify/open-image.ts";

/** What a check found, for programs. */
export interface CheckReport {
  readonly ok: boolean;
  /** The first rule that the image breaks. */
  readonly image?: ImageProblem;
  /** Wrong and missing objects; absent when no store was given. */
  readonly objects?: readonly ObjectProblem[];
}

/** What a check found, and the error to fail with. */
export interface CheckResult {
  readonly report: CheckReport;
  readonly error?: FormatError | IntegrityError;
}

/**
 * Checks an image. What it finds is returned, not thrown.
 *
 * @throws as {@link readImageBytes}, when the image cannot be read
 */
export async function checkImageFile(
  target: string,
  stores: readonly string[] | undefined,
  onProgress?: (done: number, total: number) => void,
): Promise<CheckResult> {
  const bytes = await readImageBytes(target, stores);
  let image: Image;
  try {
    image = verifyImage(bytes);
  } catch (error) {
    if (!(error instanceof ImageRuleError)) throw error;
    const { rule, offset, message } = error;
    return { report: { ok: false, image: { rule, offset, message } }, error };
  }
  if (stores === undefined || stores.length === 0) return { report: { ok: true } };

  const [{ checkObjects }, { Stores }] = await Promise.all([
    import("./check-objects.ts"),
    import("../store/stores.ts"),
  ]);
  const objects = [...checkObjects(image, Stores.open(stores), onProgress)];
  if (objects.length === 0) return { report: { ok: true, objects } };
  const wrong = objects.filter(({ problem }) => problem === "wrong").length;
  const error = new IntegrityError(
    "DIGEST_MISMATCH",
    `${target}: ${wrong} objects are wrong, ${objects.length - wrong} are missing`,
    { hint: "to repair them, build the image into the store again" },
  );
  return { report: { ok: false, objects }, error };
}
