/**
 * `sealfs inspect`: prints what an image holds.
 *
 * @module
 */
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { inspectImage } from "../../inspect/inspect-image.ts";
import { inspectSeekIndexes } from "../../inspect/inspect-seek.ts";
import { missingObjects } from "../../store/missing-objects.ts";
import { objectsOf } from "../../erofs/object-list.ts";
import { openImage } from "../../verify/open-image.ts";
import { Stores } from "../../store/stores.ts";
import { objectPath } from "../../verity/verity-digest.ts";
import { seekLines, summaryLines } from "../print/inspect.ts";
import type { Io } from "../terminal/io.ts";
import { addImageArgument } from "../options/image-argument.ts";
import { LineWriter } from "../terminal/line-writer.ts";

interface Options {
  objects?: true;
  missing?: true;
  seek?: true;
  json?: true;
  store?: string[];
}

export function declare(command: Command, io: Io): void {
  addImageArgument(command)
    .option("--objects", "list only the objects, as paths below objects/")
    .option("--missing", "list only the objects that no --store has")
    .option("--seek", "print only what its seek indexes hold, layer by layer")
    .option("--json", "print one JSON document")
    .action(async (target: string, options: Options) => {
      const { store, json } = options;
      if (options.missing && store === undefined) {
        throw new UsageError("USAGE", "--missing: expected --store as well");
      }
      if (options.seek) {
        if (store === undefined) throw new UsageError("USAGE", "--seek: expected --store as well");
        const indexes = inspectSeekIndexes(Stores.open(store), target);
        if (json) io.document(indexes);
        else for (const line of indexes.flatMap(seekLines)) io.print(line);
        return;
      }
      const image = await openImage(target, store);
      if (!options.objects && !options.missing) {
        const summary = inspectImage(image);
        if (json) io.document(summary);
        else for (const line of summaryLines(summary)) io.print(line);
        return;
      }
      const objects =
        options.missing && store !== undefined
          ? missingObjects(image, Stores.open(store))
          : objectsOf(image);
      const lines = new LineWriter(io);
      if (json) lines.writeArray(objects, ([digest, size]) => ({ digest, size }));
      else lines.writeAll(objects.keys(), objectPath);
    });
}
