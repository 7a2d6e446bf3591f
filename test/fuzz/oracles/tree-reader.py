#!/usr/bin/env python3
"""What a mounted image shows. Reads folders from standard input, each behind its length (32 bits, little endian), and
prints a line of JSON for each: path -> what the file is, as `oracles/kernel.ts` makes it of an image. Text is latin1."""
import errno, json, os, stat, struct, sys


def described(path, st):
    made = {
        "nid": st.st_ino,
        "mode": st.st_mode,
        "nlink": st.st_nlink,
        "owner": [st.st_uid, st.st_gid],
        "size": st.st_size,
        "time": [str(st.st_mtime_ns // 10**9), st.st_mtime_ns % 10**9],
        "device": [os.major(st.st_rdev), os.minor(st.st_rdev)],
    }
    xattrs = []
    for key in os.listxattr(path, follow_symlinks=False):
        try:
            value = os.getxattr(path, os.fsencode(key), follow_symlinks=False).decode("latin1")
        except OSError as error:
            value = errno.errorcode[error.errno]
        xattrs.append([os.fsencode(key).decode("latin1"), value])
    made["xattrs"] = sorted(xattrs)
    if stat.S_ISLNK(st.st_mode):
        made["data"] = os.readlink(path).decode("latin1")
    elif stat.S_ISREG(st.st_mode) and st.st_size <= 1 << 16:
        with open(path, "rb") as file:
            made["data"] = file.read().decode("latin1")
    return made


while header := sys.stdin.buffer.read(4):
    root = sys.stdin.buffer.read(struct.unpack("<I", header)[0])
    found, queue = {}, [root]
    for path in queue:
        st = os.lstat(path)
        found[path[len(root) :].decode("latin1")] = described(path, st)
        if stat.S_ISDIR(st.st_mode):
            queue += [path + b"/" + name for name in sorted(os.listdir(path))]
    print(json.dumps(found), flush=True)
