/**
 * composefs images: writing them, reading them without trust, and checking them against every rule
 * of the format. Bytes in, values out; runs in browsers as well.
 *
 * @module
 */
export {
  type ImageProblem,
  type ImageRule,
  ImageRuleError,
  checkImage,
  imageRules,
  verifyImage,
} from "./check.ts";
export {
  type FileContent,
  Image,
  type ImageDirent,
  type ImageInode,
  type ListedDirent,
} from "./image.ts";
export { dumpImage, readTree } from "./tree.ts";
export { ImageView, isWhiteout } from "./view.ts";
export { type WalkedFile, childrenOf, findFile, walkFiles } from "./walk.ts";
export { type FormatVersion, type WriteOptions, writeImage } from "./writer.ts";
