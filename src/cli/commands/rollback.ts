/**
 * `sealfs rollback`: signs an older image of a name anew, so that clients go back to it.
 *
 * @module
 */
import type { Command } from "commander";
import { prepareRollback } from "../../sign/signed-names.ts";
import { formatTime } from "../../trust/time.ts";
import { shortDigest } from "../../verity/verity-digest.ts";
import { addNote } from "../options/help-note.ts";
import {
  type SignedNameOptions,
  declareSignedName,
  signAndReport,
  signedNameRequest,
} from "../options/signed-name-options.ts";
import type { Io } from "../terminal/io.ts";

const NOTE = `\
Clients never take a lower version: the older image is signed with a higher one than all before. Only
images count that these keys have signed under the name, and that are still in the store;
sealfs images NAME --history lists them. sealfs gc removes those that no name leads to.`;

export function declare(command: Command, io: Io): void {
  command
    .argument("<name>", "the name")
    .argument(
      "[version]",
      "the version to go back to, or the image's id (default: the last one of another image)",
    )
    .action(async (name: string, to: string | undefined, options: SignedNameOptions) => {
      const now = new Date();
      const { request, signers } = await signedNameRequest(options, now, io);
      const backs = prepareRollback(name, to, request, now);
      for (const { back, latest } of backs) {
        const from = `${shortDigest(latest.verityDigest)}, version ${latest.version}`;
        const until = formatTime(back.created);
        io.log(
          `from ${from}, back to ${shortDigest(back.verityDigest)}, version ${back.version} of ${until}`,
        );
      }
      const targets = backs.map(({ target }) => target);
      await signAndReport(targets, signers, options, io);
    });
  declareSignedName(command);
  addNote(command, NOTE);
}
