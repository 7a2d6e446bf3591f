/**
 * The command line: which commands there are, and how an error becomes an exit status.
 *
 * A command's module is loaded only when it is called, so that start-up stays short.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import {
  FetchError,
  FormatError,
  IntegrityError,
  NetworkError,
  NotFoundError,
  SealfsError,
  TransportError,
  TrustError,
  UsageError,
  messagesOf,
} from "../errors.ts";
import { type Io, processIo } from "./terminal/io.ts";

/** A command's module: adds arguments, options and action to the command it is given. */
interface CommandModule {
  declare(command: Command, io: Io): void;
}

interface CommandRow {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** Every command, in the order in which help shows them. */
export const commands: ReadonlyMap<string, CommandRow> = new Map([
  [
    "build",
    {
      summary: "make an image and its objects from an OCI image, a tar or a directory",
      load: () => import("./commands/build.ts"),
    },
  ],
  ["keygen", { summary: "make an Ed25519 key pair", load: () => import("./commands/keygen.ts") }],
  ["sign", { summary: "sign an image under a name", load: () => import("./commands/sign.ts") }],
  [
    "verify",
    {
      summary: "check an image's signature and the image itself",
      load: () => import("./commands/verify.ts"),
    },
  ],
  [
    "trust",
    {
      summary: "print who signed an image, by which rule, and until when that holds",
      load: () => import("./commands/trust.ts"),
    },
  ],
  [
    "policy",
    {
      summary: "make, change, sign and check trust policies",
      load: () => import("./commands/policy.ts"),
    },
  ],
  ["mount", { summary: "verify an image and mount it", load: () => import("./commands/mount.ts") }],
  [
    "fetch",
    {
      summary: "get the objects that an image lacks from mirrors, which need not be trusted",
      load: () => import("./commands/fetch.ts"),
    },
  ],
  ["umount", { summary: "end a mount", load: () => import("./commands/umount.ts") }],
  [
    "status",
    {
      summary: "print what is mounted, who signed it, and how it does",
      load: () => import("./commands/status.ts"),
    },
  ],
  [
    "preflight",
    {
      summary: "try which ways to mount this machine has, and what each promises",
      load: () => import("./commands/preflight.ts"),
    },
  ],
  ["ls", { summary: "list files of an image", load: () => import("./commands/ls.ts") }],
  [
    "cat",
    {
      summary: "print a file of an image, every block checked",
      load: () => import("./commands/cat.ts"),
    },
  ],
  [
    "dump",
    {
      summary: "print an image as a composefs dump file",
      load: () => import("./commands/dump.ts"),
    },
  ],
  [
    "digest",
    { summary: "print the fs-verity digest of files", load: () => import("./commands/digest.ts") },
  ],
  [
    "inspect",
    { summary: "print what an image holds", load: () => import("./commands/inspect.ts") },
  ],
  [
    "pkcs7",
    {
      summary: "make and check signatures for the kernel's fs-verity keyring",
      load: () => import("./commands/pkcs7.ts"),
    },
  ],
  [
    "karg",
    { summary: "print the boot argument of an image", load: () => import("./commands/karg.ts") },
  ],
  [
    "label",
    {
      summary: "print or check the composefs label of an image",
      load: () => import("./commands/label.ts"),
    },
  ],
  [
    "explain",
    {
      summary: "say why two images have different digests",
      load: () => import("./commands/explain.ts"),
    },
  ],
  [
    "check",
    {
      summary: "check an image against every rule of the format, and a store's objects",
      load: () => import("./commands/check.ts"),
    },
  ],
  [
    "push",
    {
      summary: "put a signed image beside its OCI image in a registry",
      load: () => import("./commands/push.ts"),
    },
  ],
  [
    "pull",
    {
      summary: "find a signed image in a registry, and verify it",
      load: () => import("./commands/pull.ts"),
    },
  ],
  ["serve", { summary: "give a store out over HTTP", load: () => import("./commands/serve.ts") }],
  ["images", { summary: "list the images of a store", load: () => import("./commands/images.ts") }],
  ["rm", { summary: "remove a name from a store", load: () => import("./commands/rm.ts") }],
  [
    "export",
    {
      summary: "write an image and its objects as one tar",
      load: () => import("./commands/export.ts"),
    },
  ],
  [
    "import",
    {
      summary: "verify such a tar and take it into a store",
      load: () => import("./commands/import.ts"),
    },
  ],
  [
    "fsck",
    {
      summary: "check a whole store, and mend it",
      load: () => import("./commands/fsck.ts"),
    },
  ],
  ["gc", { summary: "remove what no name leads to", load: () => import("./commands/gc.ts") }],
  [
    "du",
    { summary: "print what each image of a store costs", load: () => import("./commands/du.ts") },
  ],
]);

const MKCOMPOSEFS = "mkcomposefs";

/** Exit statuses, one table for every command. */
export function exitStatus(error: unknown): number {
  if (error instanceof UsageError) return 2;
  if (error instanceof FormatError) return 3;
  if (error instanceof IntegrityError) return 4;
  if (error instanceof TrustError) return 5;
  if (error instanceof NetworkError && error.code === "NOT_FOUND") return 7;
  if (error instanceof TransportError || error instanceof NetworkError) return 6;
  if (error instanceof FetchError) return 6;
  if (error instanceof NotFoundError) return 7;
  return 1;
}

/** Runs one command line (without `node` and the script) and returns its exit status. */
export async function main(argv: string[], io: Io = processIo()): Promise<number> {
  try {
    // mkcomposefs has its own argument grammar and must start fast: it goes around commander.
    if (argv[0] === MKCOMPOSEFS) {
      const { run } = await import("./commands/mkcomposefs.ts");
      return await run(argv.slice(1), io);
    }
    const program = await declareProgram(argv, io);
    if (argv.length === 0) {
      io.log(program.helpInformation().trimEnd());
      return 2;
    }
    await program.parseAsync(argv, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error, io);
  }
}

async function declareProgram(argv: string[], io: Io): Promise<Command> {
  const { Command } = await import("commander");
  const program = new Command("sealfs")
    .description("signed, verified file system images, compatible with composefs")
    .version(version(), "-V, --version", "print the version")
    .enablePositionalOptions() // a command may have a --version of its own
    .showHelpAfterError("(sealfs --help lists the commands)");
  const wanted = argv[0] === "help" ? argv[1] : argv[0];
  for (const [name, row] of commands) {
    const command = program.command(name).summary(row.summary).description(row.summary);
    if (name === wanted) (await row.load()).declare(command, io);
  }
  program
    .command(MKCOMPOSEFS)
    .summary("make an image with mkcomposefs's own arguments")
    .allowUnknownOption();
  const all = [program, ...program.commands, ...program.commands.flatMap((each) => each.commands)];
  for (const command of all) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.print(text.trimEnd()),
      writeErr: (text) => io.log(text.trimEnd()),
    });
  }
  return program;
}

/** Tells the person what went wrong; only a defect of sealfs shows a stack. */
function report(error: unknown, io: Io): number {
  const { code, message, stack, exitCode } = error as NodeJS.ErrnoException & { exitCode?: number };
  if (code?.startsWith("commander.")) {
    return exitCode === 0 ? 0 : 2; // commander has already printed its message
  }
  if (error instanceof SealfsError) {
    io.log(`sealfs: ${messagesOf(error).join(": ")}`);
    if (error.hint !== undefined) io.log(`  ${error.hint}`);
    return exitStatus(error);
  }
  if (code === "EPIPE") return 1; // the reader of stdout has gone
  if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) io.log(`sealfs: ${message}`);
  else io.log(`sealfs: internal error, please report it: ${stack ?? String(error)}`);
  return exitStatus(error);
}

function version(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
