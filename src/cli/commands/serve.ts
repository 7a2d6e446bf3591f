/**
 * `sealfs serve`: a store as an HTTP mirror.
 *
 * @module
 */
import { once } from "node:events";
import { type Command, Option } from "commander";
import { UsageError } from "../../errors.ts";
import { serveMirror } from "../../mirror/serve/server.ts";
import { Store } from "../../store/store.ts";
import { interruptible } from "../terminal/interruption.ts";
import type { Io } from "../terminal/io.ts";
import { addNote } from "../options/help-note.ts";

interface Options {
  readonly listen: { readonly host: string; readonly port: number };
  readonly verbose?: true;
  readonly store?: string;
}

export function declare(command: Command, io: Io): void {
  addNote(
    command,
    "Serves objects/, verity/ (created when missing), images/, seek/ and bundles/, with " +
      "ranges, to anyone who can reach the address. Clients verify what they get; the server " +
      "does not. Its URL is printed once it listens. SIGTERM or SIGINT ends it.",
  )
    .argument("[store]", "the store's directory; --store names it as well")
    .option("--store <dir>", "the same as the argument, as other commands have it")
    .addOption(
      new Option("--listen <address>", "HOST:PORT or PORT; port 0 is any free one")
        .argParser(address)
        .default({ host: "127.0.0.1", port: 8080 }, "127.0.0.1:8080"),
    )
    .option("-v, --verbose", "print one line per request")
    .action(async (argument: string | undefined, { listen, store }: Options) => {
      const directory = oneOf(argument, store);
      await interruptible("serve", async (signal) => {
        const onRequest = (line: string) => io.detail(line);
        const mirror = await serveMirror({ store: Store.open(directory), ...listen, onRequest });
        io.print(mirror.url);
        if (!signal.aborted) await once(signal, "abort");
        await mirror.close();
      });
    });
}

function oneOf(argument: string | undefined, option: string | undefined): string {
  const given = argument ?? option;
  if (given !== undefined && (argument === undefined || option === undefined)) return given;
  const got = given === undefined ? "none" : "two";
  throw new UsageError("USAGE", `serve: expected one store, got ${got}`, {
    hint: "give its directory: sealfs serve STORE",
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
