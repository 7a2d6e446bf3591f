/**
 * Sets of files that hold images or parts of them, or file systems, without being one: nobody means
 * them to be signed as a root file system.
 *
 * @module
 */

/** What a set of files is instead, and what to do about it. */
export interface Misplaced {
  readonly what: string;
  readonly remedy: string;
}

const HEX = "[0-9a-f]{64}(?:[0-9a-f]{64})?";

interface Kind extends Misplaced {
  /** What the name of a file that only they have begins with. */
  readonly name: RegExp;
  /** The file is no regular one. */
  readonly isLink?: true;
}

const kinds: readonly Kind[] = [
  {
    name: /[a-z0-9]+-(?:images\/images|layers\/layers|containers\/containers)\.(?:json|lock)$/,
    what: "the storage of podman",
    remedy: "copy the image out of it: skopeo copy containers-storage:NAME oci-archive:image.tar",
  },
  {
    name: /image\/[a-z0-9-]+\/(?:repositories\.json$|imagedb\/|layerdb\/)/,
    what: "the data of a Docker daemon",
    remedy: "take the image: docker save -o image.tar NAME",
  },
  {
    name: /io\.containerd\.(?:content|metadata)\.v1\./,
    what: "the data of containerd",
    remedy: "take the image: ctr images export image.tar NAME",
  },
  {
    name: /docker\/registry\/v2\/(?:blobs|repositories)\//,
    what: "the data of a registry",
    remedy: "read the image from the registry: docker://HOST/NAME",
  },
  {
    name: new RegExp(`images/${HEX}$`),
    isLink: true,
    what: "a store of sealfs, or an image that was exported from one",
    remedy: "sealfs import reads what sealfs export wrote",
  },
  {
    name: /objects\/[0-9a-f]{2}\/[0-9a-f]{62}\.(?:commit|dirtree|dirmeta|file|filez)$/,
    what: "a repository of ostree",
    remedy: "check a commit out: ostree checkout COMMIT DIR",
  },
];

/** Folders that may be around them. */
const LEVELS = 2;
const ANY = placed(kinds.map(({ name }) => name.source).join("|"));
const placedKinds = kinds.map((kind) => ({ ...kind, name: placed(kind.name.source) }));

function placed(source: string): RegExp {
  return new RegExp(`^(?:[^/]+/){0,${LEVELS}}?(?:${source})`);
}

/** What a set of files is that has a file of this name. */
export function misplacedBy(name: string, isRegular: boolean): Misplaced | undefined {
  if (!ANY.test(name)) return undefined;
  return placedKinds.find(
    ({ name: pattern, isLink }) => pattern.test(name) && !(isLink === true && isRegular),
  );
}

export const RUNTIME_BUNDLE: Misplaced = {
  what: "a bundle for a runtime (config.json), whose file system is a folder in it",
  remedy: "build that folder: dir:DIR/rootfs",
};

export const LEGACY_ARCHIVE: Misplaced = {
  what: "an archive of docker save from before Docker 1.10, without manifest.json",
  remedy: "extract it and name its layers, the lowest first: tar:ID/layer.tar,ID/layer.tar",
};

export const NO_INDEX: Misplaced = {
  what: "an OCI layout without index.json",
  remedy: "copy the image again: skopeo copy SOURCE oci-archive:image.tar",
};

export const LINKED_LAYOUT: Misplaced = {
  what: "an OCI layout whose files are links",
  remedy: "pack what they lead to: tar -C DIR -chf - . | sealfs build - …",
};

export const APP_CONTAINER: Misplaced = {
  what: "an App Container image (ACI)",
  remedy: "extract it and build its folder rootfs: dir:DIR/rootfs",
};

export const NOTHING: Misplaced = {
  what: "an archive without entries, or only zeros",
  remedy: "see whether it is the file that was meant",
};

export const NO_MANIFEST: Misplaced = {
  what: "parts of an image without manifest.json, or with one that lists none",
  remedy: "save the image again",
};

export const CONTRADICTION: Misplaced = {
  what: "both index.json of an OCI layout and manifest.json of another form",
  remedy: "remove the one that does not count",
};

export function nestedImage(folder: string): Misplaced {
  return {
    what: `images or parts of them in the folder ${folder}`,
    remedy: "build that folder itself; of an archive, extract it first",
  };
}

export function nestedRoot(folder: string): Misplaced {
  return {
    what: `a root file system in the folder ${folder}`,
    remedy: `build that folder: dir:DIR/${folder}`,
  };
}

export function nestedArchive(name: string): Misplaced {
  return { what: `another archive, ${name}`, remedy: "extract it and build that one" };
}
