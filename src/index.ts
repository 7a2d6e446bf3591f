/**
 * The library: build, sign, verify, read and mount. The pure formats are `sealfs/erofs` and
 * `sealfs/verity`.
 *
 * @module
 */
export * from "./errors.ts";
export { type ByteString, fromText, printable, toBytes, toByteString } from "./bytes/bytestring.ts";
export {
  type VerityAlgorithm,
  type VerityDigest,
  objectPath,
  parseVerityDigest,
} from "./verity/digest.ts";
export { type ProfileName, profileNames } from "./tree/merge.ts";
export { type Statement } from "./trust/statement.ts";
export { PrivateKey } from "./trust/private-key.ts";
export { PublicKey } from "./trust/public-key.ts";
export { Keyring } from "./trust/keyring.ts";
export { type Listing, type Trust, TrustPolicy } from "./trust/policy.ts";
export { type PolicyDocument, readPolicy, verifyInForce } from "./trust/policy-chain.ts";
export { Store } from "./store/store.ts";
export { Stores } from "./store/stores.ts";
export { type SourceReference, parseSource } from "./oci/reference.ts";
export { type Platform, parsePlatform } from "./oci/platform.ts";
export { type BuildOptions, type BuildResult, buildImage } from "./image/build.ts";
export { readKeyring, readPrivateKey, readPublicKey } from "./image/key-files.ts";
export { openTrust } from "./image/open-trust.ts";
export { openListing } from "./tuf/listing.ts";
export { TrustState } from "./image/trust-state.ts";
export { type Validity, settleValidity } from "./image/validity.ts";
export {
  type ImageFacts,
  type SignedImage,
  imageFacts,
  signFacts,
  signImage,
} from "./image/sign.ts";
export { VerifiedImage, verifyImageFile } from "./image/verify.ts";
export { type Demands, type Places, openCurrent, openVerified } from "./image/locate.ts";
export {
  type FetchRequest,
  type ImageFetch,
  type ImageFetchPlan,
  fetchImage,
  planImageFetch,
} from "./image/fetch.ts";
export { type ObjectSource, type WantedObject } from "./mirror/source.ts";
export { type SourcesRequest, openSources } from "./mirror/sources.ts";
export { readFileOf } from "./image/read-file.ts";
export { type FileRecord, listFiles } from "./image/list.ts";
export { type Mount, type MountOptions, mountImage } from "./mount/mount.ts";
export { unmountImage } from "./mount/unmount.ts";
