/**
 * What a mount asks for beyond a good signature: that the user said which image was meant.
 *
 * @module
 */
import { UsageError } from "../errors.ts";
import { abbreviates } from "../verity/verity-digest.ts";
import { type Demands, type Places, openCurrent } from "../verify/locate.ts";
import type { VerifiedImage } from "../verify/verified-image.ts";

/**
 * Finds and verifies the image to be mounted: by its name in a store, by its id, or as a file whose
 * name is in `demands`. Without one of these, anyone who can swap files could have any image
 * mounted that the key has ever signed. An image that was mounted before is not checked against the
 * rules of its format again, where the client has a memory.
 *
 * @throws {@link UsageError} for a file without a name; otherwise as {@link openCurrent}
 */
export async function openNamedImage(
  target: string,
  places: Places,
  demands: Demands,
): Promise<VerifiedImage> {
  const verified = await openCurrent(target, places, {
    ...demands,
    checked: demands.state?.checked,
  });
  if (verified.nameChecked || abbreviates(target, verified.digest)) return verified;
  throw new UsageError("USAGE", `image ${target}: a file does not say which name to expect`, {
    hint: `it is signed as ${verified.statement.name}: if that is what you want, say --name ${verified.statement.name}`,
  });
}
