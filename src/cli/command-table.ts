/**
 * Every command, grouped by what it is for, in the order of `sealfs --help`.
 *
 * A command's module is loaded only when it is called, so that start-up stays short.
 *
 * @module
 */
import type { Command } from "commander";
import type { Io } from "./terminal/io.ts";

/** A command's module: adds arguments, options and action to the command it is given. */
interface CommandModule {
  declare(command: Command, io: Io): void;
}

export interface CommandRow {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** Groups by their headings, and in them commands by their names. */
export const commandGroups: Readonly<Record<string, Readonly<Record<string, CommandRow>>>> = {
  "Build and sign": {
    build: {
      summary: "build an image and its objects from an OCI image, a tar or a directory",
      load: () => import("./commands/build.ts"),
    },
    keygen: { summary: "create an Ed25519 key pair", load: () => import("./commands/keygen.ts") },
    rollback: {
      summary: "sign an older image of a name anew, so that clients go back to it",
      load: () => import("./commands/rollback.ts"),
    },
    sign: { summary: "sign an image under a name", load: () => import("./commands/sign.ts") },
    tag: {
      summary: "give an image a second signed name",
      load: () => import("./commands/tag.ts"),
    },
  },
  "Verify and trust": {
    verify: {
      summary: "check an image's signature, and the image itself",
      load: () => import("./commands/verify.ts"),
    },
    trust: {
      summary: "show who signed an image, which rule accepts it, and until when",
      load: () => import("./commands/trust.ts"),
    },
    policy: {
      summary: "create, change, sign and check trust policies",
      load: () => import("./commands/policy.ts"),
    },
  },
  Mount: {
    mount: { summary: "verify an image and mount it", load: () => import("./commands/mount.ts") },
    umount: { summary: "end a mount", load: () => import("./commands/umount.ts") },
    status: {
      summary: "show mounts, with their signers and counters",
      load: () => import("./commands/status.ts"),
    },
    preflight: {
      summary: "try which ways to mount work on this machine, and show what each promises",
      load: () => import("./commands/preflight.ts"),
    },
  },
  "Fetch and publish": {
    fetch: {
      summary: "fetch an image's missing objects from mirrors, which need not be trusted",
      load: () => import("./commands/fetch.ts"),
    },
    pull: {
      summary: "find a signed image in a registry, verify it, and put it into a store",
      load: () => import("./commands/pull.ts"),
    },
    push: {
      summary: "put a signed image beside its OCI image in a registry",
      load: () => import("./commands/push.ts"),
    },
    serve: { summary: "serve a store over HTTP", load: () => import("./commands/serve.ts") },
    export: {
      summary: "write an image with its objects as one tar",
      load: () => import("./commands/export.ts"),
    },
    import: {
      summary: "verify what sealfs export wrote, and add it to a store",
      load: () => import("./commands/import.ts"),
    },
  },
  "Look into images": {
    ls: { summary: "list files of an image", load: () => import("./commands/ls.ts") },
    cat: {
      summary: "print a file of an image, with every block checked",
      load: () => import("./commands/cat.ts"),
    },
    inspect: {
      summary: "summarise an image, or list its objects",
      load: () => import("./commands/inspect.ts"),
    },
    check: {
      summary: "check an image against every rule of the format, and its objects",
      load: () => import("./commands/check.ts"),
    },
    explain: {
      summary: "explain why two images have different digests",
      load: () => import("./commands/explain.ts"),
    },
  },
  "Keep a store": {
    images: { summary: "list the images of a store", load: () => import("./commands/images.ts") },
    rm: { summary: "remove names of images", load: () => import("./commands/rm.ts") },
    du: {
      summary: "show how much disk space each image takes",
      load: () => import("./commands/du.ts"),
    },
    gc: {
      summary: "remove images without a name, and objects that no image uses",
      load: () => import("./commands/gc.ts"),
    },
    fsck: {
      summary: "check a whole store, and repair it",
      load: () => import("./commands/fsck.ts"),
    },
  },
  "composefs and boot": {
    mkcomposefs: {
      summary: "build an image as mkcomposefs does, with the same arguments",
      load: () => import("./commands/mkcomposefs.ts"),
    },
    dump: {
      summary: "print an image as a composefs dump file",
      load: () => import("./commands/dump.ts"),
    },
    digest: {
      summary: "print the fs-verity digests of files",
      load: () => import("./commands/digest.ts"),
    },
    label: {
      summary: "print or check the composefs label of an image",
      load: () => import("./commands/label.ts"),
    },
    karg: {
      summary: "print the kernel argument that boots an image",
      load: () => import("./commands/karg.ts"),
    },
    pkcs7: {
      summary: "create and check signatures for the kernel's fs-verity keyring",
      load: () => import("./commands/pkcs7.ts"),
    },
  },
};

/** Every command by its name. */
export const commands: ReadonlyMap<string, CommandRow> = new Map(
  Object.values(commandGroups).flatMap((group) => Object.entries(group)),
);
