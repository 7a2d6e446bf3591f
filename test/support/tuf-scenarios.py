"""TUF repositories made by python-tuf, good and bad, each in the steps in which a client meets them,
and what python-tuf's own client says to each step: `tuf-scenarios.py FOLDER` writes them there and
prints them as JSON."""
import copy, json, os, shutil, sys, tempfile
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles, TargetFile,
    Targets, Timestamp,
)
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

OUT = sys.argv[1]
LATER = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)
PAST = LATER - timedelta(days=60)
MAKE = {"ed25519": CryptoSigner.generate_ed25519, "ecdsa": CryptoSigner.generate_ecdsa, "rsa": CryptoSigner.generate_rsa}
TARGET = "a/app:1.bundle.json"


class Repository:
    def __init__(self, kind="ed25519", consistent=True):
        self.files, self.signers, self.blobs = {}, {}, {}
        self.meta_hashes = False
        self.md = {
            "root": Metadata(Root(expires=LATER, consistent_snapshot=consistent)),
            "timestamp": Metadata(Timestamp(expires=LATER)),
            "snapshot": Metadata(Snapshot(expires=LATER)),
            "targets": Metadata(Targets(expires=LATER)),
        }
        for role in self.md:
            self.rotate(role, kind=kind)
        self.add("targets", b"bundle 1")
        self.publish("root", "targets", "snapshot", "timestamp", bump=False)

    def __getattr__(self, name):
        return self.md[name].signed

    def rotate(self, role, count=1, threshold=None, kind="ed25519"):
        held = self.root.roles[role]
        for keyid in list(held.keyids):
            self.root.revoke_key(keyid, role)
        self.signers[role] = [MAKE[kind]() for _ in range(count)]
        for signer in self.signers[role]:
            self.root.add_key(signer.public_key, role)
        held.threshold = threshold or count

    def add(self, role, data, path=TARGET):
        info = TargetFile.from_data(path, data, ["sha256"])
        self.md[role].signed.targets[path] = info
        head, sep, name = path.rpartition("/")
        self.blobs[f"targets/{head}{sep}{info.hashes['sha256']}.{name}"] = data
        self.blobs[f"targets/{path}"] = data

    def sign(self, role, signers=None):
        md = self.md[role]
        md.signatures.clear()
        for signer in self.signers[role] if signers is None else signers:
            md.sign(signer, append=True)
        return md.to_bytes()

    def put(self, role, data):
        consistent = role == "root" or (self.root.consistent_snapshot and role != "timestamp")
        prefix = f"{self.md[role].signed.version}." if consistent else ""
        self.files[f"metadata/{prefix}{quote(role, '')}.json"] = data

    def publish(self, *roles, bump=True, signers=None):
        for role in roles:
            if bump:
                self.md[role].signed.version += 1
            data = self.sign(role, signers)
            self.put(role, data)
            info = MetaFile(self.md[role].signed.version)
            if self.meta_hashes:
                info = MetaFile.from_data(info.version, data, ["sha256"])
            if role == "snapshot":
                self.timestamp.snapshot_meta = info
            elif role not in ("root", "timestamp"):
                self.snapshot.meta[f"{role}.json"] = info

    def delegate(self, parent, name, threshold=1, keys=1, **how):
        signed = self.md[parent].signed
        if signed.delegations is None:
            signed.delegations = Delegations({}, {})
        signed.delegations.roles[name] = DelegatedRole(name, [], threshold, how.pop("terminating", False), **how)
        self.md[name] = Metadata(Targets(expires=LATER))
        self.signers[name] = [MAKE["ed25519"]() for _ in range(keys)]
        for signer in self.signers[name]:
            signed.add_key(signer.public_key, name)

    def all(self):
        self.publish("targets", "snapshot", "timestamp")


class Folder(FetcherInterface):
    def __init__(self, folder):
        self.folder = folder

    def _fetch(self, url):
        path = os.path.join(self.folder, url.removeprefix("http://x/"))
        if not os.path.isfile(path):
            raise DownloadHTTPError("not there", 404)
        with open(path, "rb") as file:
            yield file.read()


scenarios = []


class Scenario:
    def __init__(self, name, repository=None, target=TARGET):
        self.name, self.repo, self.steps, self.target = name, repository or Repository(), [], target
        self.root = self.repo.files["metadata/1.root.json"]
        self.cache = tempfile.mkdtemp()
        with open(f"{OUT}/{name}.root.json", "wb") as file:
            file.write(self.root)
        with open(f"{self.cache}/root.json", "wb") as file:
            file.write(self.root)
        scenarios.append(self)

    def step(self):
        folder = f"{OUT}/{self.name}.{len(self.steps)}"
        for path, data in {**self.repo.files, **self.repo.blobs}.items():
            os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
            with open(f"{folder}/{path}", "wb") as file:
                file.write(data)
        got = None
        try:
            updater = Updater(
                self.cache, "http://x/metadata/", self.cache, "http://x/targets/", fetcher=Folder(folder), config=UpdaterConfig(), bootstrap=None
            )
            updater.refresh()
            info = updater.get_targetinfo(self.target)
            if info is not None:
                with open(updater.download_target(info, f"{self.cache}/target"), "rb") as file:
                    got = file.read().decode()
            verdict = "good"
        except Exception as error:
            verdict = type(error).__name__
        versions = {}
        for role in ("root", "timestamp", "snapshot", "targets"):
            if os.path.isfile(f"{self.cache}/{role}.json"):
                versions[role] = Metadata.from_file(f"{self.cache}/{role}.json").signed.version
        self.steps.append({"folder": folder, "verdict": verdict, "target": got, "versions": versions})
        return self


for kind in MAKE:
    Scenario(f"keys-{kind}", Repository(kind)).step()
Scenario("no-consistent-snapshot", Repository(consistent=False)).step()

s = Scenario("custom-fields")
s.repo.root.unrecognized_fields["custom"] = {"a": [1, {"b": "\u00e9"}]}
s.repo.targets.unrecognized_fields["more"] = "x\u0007"
s.repo.publish("root"), s.repo.all(), s.step()

for role in ("timestamp", "snapshot", "targets"):
    above = {"timestamp": [], "snapshot": ["timestamp"], "targets": ["snapshot", "timestamp"]}[role]
    s = Scenario(f"rollback-{role}")
    s.repo.all(), s.repo.all(), s.step()
    s.repo.md[role].signed.version -= 2
    s.repo.publish(role), s.repo.publish(*above), s.step()
    s = Scenario(f"rollback-{role}-hashes")
    s.repo.meta_hashes = True
    s.repo.all(), s.repo.all(), s.step()
    s.repo.md[role].signed.version -= 2
    s.repo.publish(role), s.repo.publish(*above), s.step()

for role in ("root", "timestamp", "snapshot", "targets"):
    s = Scenario(f"expired-{role}").step()
    s.repo.md[role].signed.expires = PAST
    s.repo.publish("root"), s.repo.all(), s.step()
    s.repo.md[role].signed.expires = LATER
    s.repo.publish("root"), s.repo.all(), s.step()
    s = Scenario(f"unsigned-{role}").step()
    s.repo.publish("root"), s.repo.all()
    s.repo.put(role, s.repo.sign(role, [])), s.step()
    s = Scenario(f"stranger-{role}").step()
    s.repo.publish("root"), s.repo.all()
    s.repo.put(role, s.repo.sign(role, [MAKE["ed25519"]()])), s.step()
    s = Scenario(f"flipped-{role}").step()
    s.repo.publish("root"), s.repo.all()
    path = next(p for p in reversed(list(s.repo.files)) if p.endswith(f"{role}.json"))
    s.repo.files[path] = s.repo.files[path].replace(b'"version"', b'"varsion"')
    s.step()
    s = Scenario(f"threshold-{role}").step()
    s.repo.rotate(role, 3, 2) if role != "root" else None
    s.repo.publish("root"), s.repo.all()
    s.repo.put(role, s.repo.sign(role, s.repo.signers[role][:1])), s.step()
    s.repo.put(role, s.repo.sign(role)), s.step()

for role in ("timestamp", "snapshot"):
    s = Scenario(f"fast-forward-{role}").step()
    s.repo.md[role].signed.version = 99999
    s.repo.publish(role), s.repo.publish("timestamp"), s.step()
    s.repo.md[role].signed.version = 1
    s.repo.publish("snapshot", "timestamp"), s.step()
    s.repo.rotate("timestamp"), s.repo.rotate("snapshot")
    s.repo.publish("root"), s.repo.publish("snapshot", "timestamp"), s.step()

s = Scenario("root-chain")
for i in range(6):
    old = s.repo.signers["root"]
    s.repo.rotate("root", 2, 1 + i % 2)
    s.repo.publish("root", signers=old + s.repo.signers["root"])
s.repo.all(), s.step()
for who in ("old", "new"):
    s = Scenario(f"root-by-{who}-only").step()
    old = s.repo.signers["root"]
    s.repo.rotate("root")
    s.repo.publish("root", signers=old if who == "old" else s.repo.signers["root"]), s.step()
s = Scenario("root-skips-a-version").step()
s.repo.root.version += 1
s.repo.publish("root")
s.repo.files["metadata/2.root.json"] = s.repo.files["metadata/3.root.json"]
s.step()
s = Scenario("root-same-version").step()
s.repo.files["metadata/2.root.json"] = s.repo.files["metadata/1.root.json"]
s.step()

for what in ("hash", "length", "version"):
    for role in ("snapshot", "targets"):
        s = Scenario(f"wrong-{what}-{role}").step()
        s.repo.meta_hashes = True
        s.repo.all()
        info = s.repo.timestamp.snapshot_meta if role == "snapshot" else s.repo.snapshot.meta["targets.json"]
        if what == "hash":
            info.hashes["sha256"] = "0" * 64
        elif what == "length":
            info.length -= 1
        else:
            info.version += 1
        s.repo.publish(*(["timestamp"] if role == "snapshot" else ["snapshot", "timestamp"])), s.step()
s = Scenario("snapshot-drops-a-role")
s.repo.snapshot.meta["other.json"] = MetaFile(3)
s.repo.publish("snapshot", "timestamp"), s.step()
del s.repo.snapshot.meta["other.json"]
s.repo.publish("snapshot", "timestamp"), s.step()
s = Scenario("timestamp-same-version-other-content")
s.repo.all(), s.step()
s.repo.timestamp.snapshot_meta.version = 77
s.repo.publish("timestamp", bump=False), s.step()
s = Scenario("missing-snapshot").step()
s.repo.all()
del s.repo.files[f"metadata/{s.repo.snapshot.version}.snapshot.json"]
s.step()

s = Scenario("target-changes").step()
s.repo.add("targets", b"bundle 2"), s.repo.all(), s.step()
for path in list(s.repo.blobs):
    s.repo.blobs[path] = b"bundle X"
s.step()
s = Scenario("target-goes").step()
del s.repo.targets.targets[TARGET]
s.repo.all(), s.step()

for name, how in {
    "paths": {"paths": ["a/*"]},
    "other-paths": {"paths": ["b/*"]},
    "hash-prefixes": {"path_hash_prefixes": [format(i, "x") for i in range(16)]},
    "no-hash-prefix": {"path_hash_prefixes": ["zz"]},
    "terminating": {"paths": ["a/*"], "terminating": True},
    "two-of-three": {"paths": ["*/*"], "keys": 3, "threshold": 2},
}.items():
    s = Scenario(f"delegation-{name}")
    del s.repo.targets.targets[TARGET]
    s.repo.delegate("targets", "role1", **how)
    s.repo.add("role1", b"by role1")
    s.repo.publish("role1"), s.repo.all(), s.step()
    s.repo.publish("role1", signers=s.repo.signers["role1"][:1]), s.repo.all(), s.step()
    s.repo.publish("role1", signers=[MAKE["ed25519"]()]), s.repo.all(), s.step()
s = Scenario("delegation-in-order")
del s.repo.targets.targets[TARGET]
for name, stop in (("first", False), ("second", True), ("third", False)):
    s.repo.delegate("targets", name, paths=["*/*"], terminating=stop)
s.repo.add("third", b"by third")
for name in ("first", "second", "third"):
    s.repo.publish(name)
s.repo.all(), s.step()
s.repo.add("second", b"by second")
s.repo.publish("second"), s.repo.all(), s.step()
s = Scenario("delegation-deep-and-round")
del s.repo.targets.targets[TARGET]
parent = "targets"
for i in range(5):
    s.repo.delegate(parent, f"level{i}", paths=["*/*"])
    parent = f"level{i}"
s.repo.add("level4", b"deep")
for i in range(5):
    s.repo.publish(f"level{i}")
s.repo.all(), s.step()
s = Scenario("delegation-with-slashes-in-its-name")
del s.repo.targets.targets[TARGET]
s.repo.delegate("targets", "../role one/\u00fc?", paths=["a/*"])
s.repo.add("../role one/\u00fc?", b"odd")
s.repo.publish("../role one/\u00fc?"), s.repo.all(), s.step()
s = Scenario("delegation-succinct")
del s.repo.targets.targets[TARGET]
signer = MAKE["ed25519"]()
bins = SuccinctRoles([], 1, 3, "bin")
s.repo.targets.delegations = Delegations({}, None, bins)
s.repo.targets.add_key(signer.public_key)
for name in bins.get_roles():
    s.repo.md[name], s.repo.signers[name] = Metadata(Targets(expires=LATER)), [signer]
s.repo.add(bins.get_role_for_target(TARGET), b"in a bin")
for name in bins.get_roles():
    s.repo.publish(name)
s.repo.all(), s.step()

print(json.dumps([{"name": s.name, "target": s.target, "steps": s.steps} for s in scenarios]))
