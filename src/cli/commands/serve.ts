/**
 * `sealfs serve`: a store as an HTTP mirror.
 *
 * @module
 */
import { once } from "node:events";
import type { Command } from "commander";
import { UsageError } from "../../errors.ts";
import { serveMirror } from "../../mirror/serve/server.ts";
import { Store } from "../../store/store.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";

interface Options {
  readonly listen: { readonly host: string; readonly port: number };
  readonly verbose?: true;
}

export function declare(command: Command, io: Io): void {
  command
    .argument("<store>", "the store's directory")
    .option("--listen <address>", "HOST:PORT or PORT; port 0 takes a free one", address, {
      host: "127.0.0.1",
      port: 8080,
    })
    .option("-v, --verbose", "print a line for every request")
    .addHelpText(
      "after",
      "\nGives out objects/, verity/ (made when missing), images/, seek/ and bundles/, with ranges, to\n" +
        "anybody who can reach the address. Nothing is checked here: sealfs checks where it fetches.\n" +
        "The address is printed on standard output once it can be asked. Ends with SIGTERM or SIGINT.",
    )
    .action(async (directory: string, { listen, verbose }: Options) => {
      const interruption = interruptible("serve");
      const onRequest = verbose === true ? { onRequest: (line: string) => io.log(line) } : {};
      const mirror = await serveMirror({ store: Store.open(directory), ...listen, ...onRequest });
      io.print(mirror.url);
      if (!interruption.signal.aborted) await once(interruption.signal, "abort");
      interruption.end(); // a second signal ends at once
      await mirror.close();
    });
}

function address(text: string): Options["listen"] {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? "127.0.0.1", port };
  throw new UsageError(
    "USAGE",
    `--listen: expected HOST:PORT or PORT, got ${JSON.stringify(text)}`,
    {
      hint: "such as 127.0.0.1:8080, [::]:8080 or 8080",
    },
  );
}
