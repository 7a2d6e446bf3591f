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
} from "./verity/verity-digest.ts";
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
export { type Platform, parsePlatform } from "./platform/platform.ts";
export { buildImage } from "./build/build-image.ts";
export type { BuildOptions, BuildResult } from "./build/build-options.ts";
export { readKeyring, readPrivateKey, readPublicKey } from "./keys/key-files.ts";
export { openTrust } from "./policy/open-trust.ts";
export { openListing } from "./tuf/listing.ts";
export { TrustState } from "./verify/trust-state.ts";
export { type Validity, settleValidity } from "./sign/validity.ts";
export {
  type ImageFacts,
  type SignedImage,
  imageFacts,
  signFacts,
  signImage,
} from "./sign/sign-image.ts";
export { VerifiedImage, verifyImageFile } from "./verify/verified-image.ts";
export { type Demands, type Places, openCurrent, openVerified } from "./verify/locate.ts";
export {
  type FetchRequest,
  type ImageFetch,
  type ImageFetchPlan,
  fetchImage,
  planImageFetch,
} from "./fetch/fetch-image.ts";
export { type ObjectSource, type WantedObject } from "./mirror/source.ts";
export { type SourcesRequest, openSources } from "./mirror/sources.ts";
export { readFileOf } from "./inspect/read-file.ts";
export { type FileRecord, listFiles } from "./inspect/list-files.ts";
export { type Mount, mountImage } from "./mount/mount-image.ts";
export type { MountOptions } from "./mount/mount-options.ts";
export { unmountImage } from "./mount/unmount.ts";
