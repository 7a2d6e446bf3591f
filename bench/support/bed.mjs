/**
 * The bed of the benchmarks of mounts: a tree like a root file system, and the same as a signed image
 * in a store, an EROFS image that carries its content, and an ext4 file system.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { oracle, randomNumbers, root, run, sealfs } from "./tools.mjs";

export const LARGE_BYTES = 256 * 1024 * 1024;
const PER_DIRECTORY = 25;
const DIRECTORIES_PER_DIRECTORY = 50;

/** Names of a tree of `files` files, in a shuffled order that is always the same. */
function namesOf(files) {
  const paths = [];
  const directories = [];
  for (let i = 0; i < files; i++) {
    const leaf = Math.floor(i / PER_DIRECTORY);
    const directory = `d${Math.floor(leaf / DIRECTORIES_PER_DIRECTORY)}/e${leaf}`;
    if (i % PER_DIRECTORY === 0) directories.push(directory);
    paths.push(`${directory}/file-${i}.txt`);
  }
  const random = randomNumbers();
  const shuffled = [...paths];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]];
  }
  return { paths, shuffled, directories };
}

/** Mostly small files, a few of up to 100 KB, one of 256 MiB; `tiny` makes all of them small. */
function makeTree(path, { paths, directories }, tiny) {
  const random = randomNumbers();
  const noise = Buffer.alloc(1 << 20);
  for (let i = 0; i < noise.length; i++) noise[i] = random(256);
  for (const directory of directories) mkdirSync(join(path, directory), { recursive: true });
  for (const name of paths) {
    const size = tiny ? 100 : random(20) === 0 ? random(100_000) : random(6000);
    const at = random(900_000);
    writeFileSync(
      join(path, name),
      Buffer.concat([Buffer.from(name), noise.subarray(at, at + size)]),
    );
  }
  const large = Buffer.alloc(LARGE_BYTES);
  for (let at = 0; at < LARGE_BYTES; at += noise.length) {
    noise.copy(large, at);
    large.writeUInt32LE(at, at);
  }
  writeFileSync(join(path, "large"), large);
}

/** Signs an image of the tree and puts both into a new store. */
async function publish(folder, tree) {
  const dist = (path) => import(join(root, "dist", path));
  run(process.execPath, [sealfs, "keygen", "-o", join(folder, "key")]);
  const { Store } = await dist("store/store.js");
  const { signImage } = await dist("sign/sign-image.js");
  const { readPrivateKey } = await dist("keys/key-files.js");
  const { Transaction } = await dist("store/transaction.js");
  const store = Store.create(join(folder, "store"));
  const image = join(folder, "image");
  const digests = `--digest-store=${store.objects.directory}`;
  run(process.execPath, [sealfs, "mkcomposefs", digests, tree, image]);
  const bytes = readFileSync(image);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const { statement, bundle, keyId } = signImage(bytes, {
    name: "bench",
    key: readPrivateKey(join(folder, "key.key")),
    version: 1,
    created: new Date(now - 1000),
    expires: new Date(now + 365 * 86_400_000),
  });
  const transaction = Transaction.begin(store, { durability: "none" });
  transaction.put(statement.verityDigest, bytes);
  const bundles = [{ keyId, bytes: bundle, name: "bench" }];
  transaction.publish({ image: statement.verityDigest, name: "bench", bundles });
  transaction.close();
}

/** Both reference images of the tree; one is missing where its tool is. */
function makeReferences(folder, tree, files) {
  const mkfsErofs = oracle("mkfs.erofs");
  if (mkfsErofs) run(mkfsErofs, [join(folder, "erofs.img"), tree]);
  const mkfsExt4 = oracle("mkfs.ext4");
  const inodes = `${Math.ceil(files * 1.3) + 10_000}`;
  const size = `${Math.ceil((files * 12_000) / 2 ** 20) + 400}M`;
  if (mkfsExt4) {
    run(mkfsExt4, ["-q", "-N", inodes, "-d", tree, join(folder, "ext4.img"), size]);
  }
}

/**
 * Makes the bed in `folder`, or finds it there.
 *
 * @returns {Promise<{folder: string, paths: string[], shuffled: string[], directories: string[]}>}
 */
export async function mountBed(folder, files, { tiny = false, references = true } = {}) {
  const names = namesOf(files);
  const stamp = join(folder, "made");
  const wanted = JSON.stringify({ files, tiny, references, LARGE_BYTES });
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return { folder, ...names };
  rmSync(folder, { recursive: true, force: true });
  const tree = join(folder, "tree");
  mkdirSync(tree, { recursive: true });
  makeTree(tree, names, tiny);
  await publish(folder, tree);
  if (references) makeReferences(folder, tree, files);
  rmSync(tree, { recursive: true });
  writeFileSync(stamp, wanted);
  return { folder, ...names };
}
