#!/usr/bin/env python3
"""tar-readers.py FOLDER UMOCI < NAMES: what GNU tar, bsdtar, Python's tarfile and umoci make of each archive
FOLDER/NAME. Prints a JSON object for each: reader -> sorted lines, or null when it fails or complains.

A line is a path with what it is, as test/support/tar-readers.ts makes them of sealfs's entries. Run as root."""
import hashlib, json, os, posixpath, shutil, stat, subprocess, sys, tarfile

ENV = {**os.environ, "LC_ALL": "C.UTF-8"}
GNU = ["tar", "-xp", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "--delay-directory-restore", "-f"]
BSD = ["bsdtar", "-xp", "--numeric-owner", "-f"]


def line(path, kind, mode, uid, gid, mtime, rest, xattrs=()):
    # Other directories may be parents that no entry names.
    if kind == "d" and path != "d/subject":
        return f"{path} d"
    if kind == "l":
        mode = 0o777
    made = [f"{key}={value.hex()}" for key, value in sorted(xattrs)]
    return " ".join(part for part in [path, kind, f"{mode:o}", f"{uid}:{gid}", str(mtime), rest, *made] if part != "")


def xattrs_of(path):
    """Those of a file, but for what the machine gives to every file."""
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux"]
    return [(bytes_of(name), os.getxattr(path, name, follow_symlinks=False)) for name in names]


def content(data):
    return f"{len(data)} {hashlib.sha256(data).hexdigest()[:16]}"


def tree(root):
    """Lines of what was extracted."""
    found = []
    for folder, folders, files in os.walk(os.fsencode(root)):
        found += [os.path.join(folder, name) for name in folders + files]
    first, lines = {}, []
    for path in sorted(found):
        st = os.lstat(path)
        name = path[len(root) + 1 :].decode("latin1")
        kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}[stat.S_IFMT(st.st_mode)]
        if kind != "d" and first.setdefault(st.st_ino, name) != name:
            lines.append(f"{name} = {first[st.st_ino]}")
            continue
        rest = ""
        if kind == "f":
            rest = content(open(path, "rb").read())
        elif kind == "l":
            rest = os.readlink(path).decode("latin1")
        elif kind in "cb":
            rest = f"{os.major(st.st_rdev)},{os.minor(st.st_rdev)}"
        lines.append(line(name, kind, st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_mtime_ns // 10**9, rest, xattrs_of(path)))
    return lines


def extracted(command, root):
    os.makedirs(root, exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, env=ENV, timeout=60)
        return tree(root) if done.returncode == 0 else None
    finally:
        shutil.rmtree(root, ignore_errors=True)


def bytes_of(text):
    return text.encode("utf-8", "surrogateescape").decode("latin1")


def normal(name):
    return posixpath.normpath("/" + bytes_of(name)).lstrip("/")


def by_tarfile(path):
    """Lines of the tree that tarfile's members make."""
    names = {}
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            for each in archive:
                name = normal(each.name)
                if name == "":
                    return None
                for at, byte in enumerate(name):
                    if byte == "/":
                        names.setdefault(name[:at], ("d", 0, 0, 0, 0, ""))
                if each.islnk():
                    names[name] = names[normal(each.linkname)]
                    continue
                kind = "d" if each.isdir() else "l" if each.issym() else "c" if each.ischr() else "b" if each.isblk() else "p" if each.isfifo() else "f"
                rest = ""
                if kind == "f":
                    if each.size > 1 << 20:
                        return None  # there is less
                    data = archive.extractfile(each).read()
                    if len(data) != each.size:
                        return None
                    rest = content(data)
                elif kind == "l":
                    rest = bytes_of(each.linkname)
                elif kind in "cb":
                    rest = f"{each.devmajor},{each.devminor}"
                xattrs = [
                    (bytes_of(key[13:]), value.encode("utf-8", "surrogateescape"))
                    for key, value in each.pax_headers.items()
                    if key.startswith("SCHILY.xattr.")
                ]
                made = (kind, each.mode & 0o7777, each.uid, each.gid, int(each.mtime // 1), rest, xattrs)
                if not (kind == "d" and names.get(name, ("",))[0] == "d"):
                    names[name] = made
    except Exception:  # of malformed archives it raises errors of any class
        return None
    first, lines = {}, []
    for name in sorted(names):
        made = names[name]
        if made[0] != "d" and first.setdefault(id(made), name) != name:
            lines.append(f"{name} = {first[id(made)]}")
        else:
            lines.append(line(name, *made))
    return lines


def layout(folder, names, to):
    """An OCI layout with an image of one layer for each archive, whose tag is its name."""
    os.makedirs(f"{to}/blobs/sha256")

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{to}/blobs/sha256/{digest}", "wb") as file:
            file.write(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image."
    manifests = []
    for name in names:
        with open(f"{folder}/{name}", "rb") as file:
            layer = blob(file.read())
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        manifest = {
            "schemaVersion": 2,
            "mediaType": oci + "manifest.v1+json",
            "config": {"mediaType": oci + "config.v1+json", **blob(json.dumps(config).encode())},
            "layers": [{"mediaType": oci + "layer.v1.tar", **layer}],
        }
        entry = {"mediaType": oci + "manifest.v1+json", **blob(json.dumps(manifest).encode())}
        manifests.append({**entry, "annotations": {"org.opencontainers.image.ref.name": name}})
    with open(f"{to}/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')
    with open(f"{to}/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": manifests}, file)


def main():
    folder, umoci = sys.argv[1:]
    names = sys.stdin.read().split()
    layout(folder, names, f"{folder}/layout")
    for name in names:
        path, root = f"{folder}/{name}", f"{folder}/root"
        raw = [umoci, "raw", "unpack", "--image", f"{folder}/layout:{name}", root]
        print(
            json.dumps(
                {
                    "tar": extracted([*GNU, path, "-C", root], root),
                    "bsdtar": extracted([*BSD, path, "-C", root], root),
                    "tarfile": by_tarfile(path),
                    "umoci": extracted(raw, root),
                }
            ),
            flush=True,
        )


main()
