/**
 * `sealfs tag`: gives an image a second name, signed as the first one is.
 *
 * @module
 */
import type { Command } from "commander";
import { prepareTag } from "../../sign/signed-names.ts";
import { addNote } from "../options/help-note.ts";
import {
  type SignedNameOptions,
  declareSignedName,
  signAndReport,
  signedNameRequest,
} from "../options/signed-name-options.ts";
import type { Io } from "../terminal/io.ts";

const NOTE = `\
The image is verified under its present name first: by --key, or by --signed-by where another key
has signed that. sealfs sign --name NEW signs it without that.`;

export function declare(command: Command, io: Io): void {
  command
    .argument("<image>", "its name, or its id, in the store")
    .argument("<name>", "the name to give it; what has that name gives it up")
    .action(async (image: string, name: string, options: SignedNameOptions) => {
      const now = new Date();
      const { request, signers } = await signedNameRequest(options, now, io);
      await signAndReport(prepareTag(image, name, request, now), signers, options, io);
    });
  declareSignedName(command);
  addNote(command, NOTE);
}
