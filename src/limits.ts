/**
 * Every cap on untrusted input, in one table. A cap is inclusive: a value equal to it passes, one
 * more is a `FormatError` with code `LIMIT` (or the error its user documents).
 *
 * @module
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const limits = {
  /** Bytes of a bundle or envelope file. */
  envelopeBytes: MIB,
  /** Nesting of a JSON document. */
  jsonDepth: 16,
  /** Signatures in one envelope. */
  signatures: 64,
  /** Keys of one keyring. */
  keys: 128,
  /** Bytes of the name that a statement is about. */
  referenceBytes: 512,
  /** Days from a statement's creation to its expiry: ten years. */
  validityDays: 3660,
  /** Bundles read for one image. */
  bundles: 64,
  /** Attempts of one verification to verify a signature with a key that it does not name. */
  signatureTries: 8192,
  /** Name patterns of one key, thresholds of a policy, and entries of its list of revocations. */
  policyNames: 256,
  policyThresholds: 256,
  policyRevocations: 4096,
  /** Bytes of TUF metadata: of a root, a timestamp, and any other role. */
  tufRootBytes: 512_000,
  tufTimestampBytes: 16 * KIB,
  tufMetadataBytes: 4 * MIB,
  /** New roots accepted in one update, and delegated roles searched for one target. */
  tufRootRotations: 256,
  tufDelegations: 32,
  /** Bytes of a file in which a client remembers one version. */
  markBytes: 16 * KIB,
  /** Bytes of an OCI manifest, index or configuration. */
  manifestBytes: 4 * MIB,
  /** Indexes nested in one another. */
  indexDepth: 4,
  /** Indexes and manifests read to find one image. */
  indexEntries: 10_000,
  /** Files in the archive of an image (oci-archive, docker-archive). */
  archiveMembers: 100_000,
  /** Links in such an archive from a name to its file. */
  archiveLinks: 8,
  /** Times that such an archive has been compressed. */
  archiveCompressions: 2,
  /** Bytes that xz may take to decompress one; `xz -9` asks for 65 MiB. */
  xzMemory: 512 * MIB,
  /** Bytes of a bootstrap. */
  imageBytes: GIB,
  /**
   * Inodes of one image, entries of one merged tree, and of all layers of one image together: what
   * fits into Node's default heap of 4 GiB.
   */
  inodes: 4_000_000,
  /** Bytes of a path; of the paths and link targets of all entries of the layers of one image. */
  pathBytes: 4096,
  pathsBytes: 512 * MIB,
  /** Bytes of one name. */
  nameBytes: 255,
  /** Directory levels below the root. */
  depth: 2048,
  /** Bytes of a symlink target. */
  symlinkBytes: 4095,
  /** Symlinks on the way to one file: as many as Linux follows. */
  symlinks: 40,
  /** Bytes of a file's content that is in the image itself. */
  inlineBytes: 5000,
  /** Bytes of one line of a dump file, of a payload in it, and of the text of its xattrs. */
  dumpLineBytes: 16 * MIB,
  dumpPayloadBytes: 4095,
  dumpXattrsBytes: 64 * KIB - 1,
  /** Bytes of the xattrs of such a line as mkcomposefs counts them. */
  dumpXattrsAccount: 32_767,
  /** Bytes of an xattr name. */
  xattrNameBytes: 255,
  /** Bytes of an xattr value (`e_value_size` has 16 bits), and of all xattrs of one inode. */
  xattrValueBytes: 64 * KIB - 1,
  xattrInodeBytes: 64 * KIB,
  /** Xattrs of all entries of the layers of one image, and their bytes. */
  xattrs: 8_000_000,
  xattrBytes: 512 * MIB,
  /** Keys, and pairs of a key and a value, that one image has. */
  xattrKeys: 100_000,
  xattrPairs: 1_000_000,
  /** Bytes of one pax record set, and of one GNU long name. */
  paxBytes: MIB,
  /** Extended headers in front of one tar entry. */
  metaHeaders: 16,
  /** Segments of a sparse file. */
  sparseSegments: 10_000,
  /** Bytes of a layer, uncompressed and its sparse files expanded, per byte of the blob. */
  layerRatio: 1000,
  /**
   * Such bytes up to which the ratio is not applied: a file of zeros (as lastlog is, of a system with
   * large user ids) is no bomb.
   */
  layerFloor: 4 * GIB,
  /** Such bytes of one layer, whatever an option says. */
  layerBytes: 256 * GIB,
  /** Layers of one image. */
  layers: 512,
  /** Bytes of a zstd window. */
  zstdWindowBytes: 128 * MIB,
  /** Bytes of cached leaf hashes of one object (an object of 128 GiB with sha256). */
  leafBytes: GIB,
  /** A store's `meta.json`. */
  metaBytes: 64 * KIB,
  /** Bytes of what a store remembers of a layer, and of the list of an image's layers. */
  rememberedBytes: 512 * MIB,
  imageLayersBytes: 256 * KIB,
  /** A lease: a line for each object that a process needs. */
  leaseBytes: GIB / 4,
  /** Objects that one source is remembered to lack, or to have wrong; the oldest are forgotten. */
  objectsSetAside: 4096,
  /** Bytes of a mirrors file, mirrors in it, and name patterns of one mirror. */
  mirrorsBytes: 256 * KIB,
  mirrors: 64,
  mirrorNames: 256,
  /** `sealfs serve`: bytes of a request's path and headers (names and values), and connections. */
  requestHeaderBytes: 16 * KIB,
  connections: 1024,
  /**
   * Bytes of the headers of an HTTP answer (names and values), informational answers before it, and
   * redirects.
   */
  httpHeaderBytes: 16 * KIB,
  httpInformational: 16,
  httpRedirects: 5,
  /** Bytes read of an answer that is not wanted, so that its connection can be kept. */
  httpRestBytes: 16 * KIB,
  /** Bytes of the page by which a server demands a certificate. */
  httpCertificatePageBytes: 4 * KIB,
  /** Lines of `WWW-Authenticate`, and challenges read of one line. */
  challenges: 8,
  /** Bytes of a server's error document, and of its answer with a token. */
  httpErrorBytes: 64 * KIB,
  /** Bytes of a file with credentials for registries. */
  authFileBytes: MIB,
  /** Bytes of a file that says where registries are. */
  registriesConfBytes: MIB,
  /** Bytes of a file of certificates. */
  certificatesBytes: 16 * MIB,
  /** Artifacts about one image that are listed, and those of them that are fetched. */
  referrers: 1024,
  candidates: 64,
  /** Bundles that are fetched of all of these. */
  candidateBundles: 256,
  /** Pages of a registry's list of such artifacts, and bytes of all of them. */
  referrerPages: 64,
  referrersBytes: 32 * MIB,
  /** Bytes of a list of files to prefetch. */
  prefetchListBytes: 64 * MIB,
  /** Bytes of a key file. */
  keyBytes: 64 * KIB,
  /** Bytes of a server's report about its mount. */
  reportBytes: 16 * MIB,
  /** Bytes of a seek index, and of the part of it that says where objects lie. */
  seekIndexBytes: 512 * MIB,
  seekPlacesBytes: 128 * MIB,
  /** Access points of one index. */
  seekPoints: 4_000_000,
  /** Segments of all sparse files of one index. */
  seekSegments: 4_000_000,
} as const;
