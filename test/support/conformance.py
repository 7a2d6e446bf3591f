"""What a read-only file system owes its readers (POSIX.1-2017 and the Linux manual pages), asked of
one mount. Arguments: the directory, and a way to mount as in modes.ts. Without a directory the
sentences are listed. Each check is a function; its first line is the sentence. Output: a JSON array of
[sentence, what was wrong or null].
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
for name in ("readdir", "readdir64"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
    getattr(libc, name).restype = ctypes.c_void_p
libc.telldir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.rewinddir.argtypes = [ctypes.c_void_p]
libc.closedir.argtypes = [ctypes.c_void_p]

LARGE = b"large " * 50_000
ODD = bytes(i * 7 % 251 for i in range(10_001))
NOBODY = 65534
STRANGER = 1234
MANY = 3000

checks = []
# How the mount is made, and what that means: limits that are documented, and what is the kernel's own.
way = ""


def libfuse():
    return way == "fuse over libfuse"


def overlay():
    return way in ("hybrid", "kernel")


def check(function):
    checks.append(function)
    return function


def sentence(function):
    return function.__doc__.splitlines()[0].rstrip(".")


def fails(number, call, *args, **options):
    """The call must fail with this error, or one of these."""
    numbers = number if isinstance(number, tuple) else (number,)
    names = "/".join(errno.errorcode[each] for each in numbers)
    try:
        result = call(*args, **options)
    except OSError as error:
        got = errno.errorcode.get(error.errno, str(error.errno))
        assert error.errno in numbers, f"{call.__name__}{args}: expected {names}, got {got}"
        return
    if isinstance(result, int) and call is os.open:
        os.close(result)
    raise AssertionError(f"{call.__name__}{args}: expected {names}, succeeded")


def equal(got, expected, what=""):
    assert got == expected, f"{what}: expected {expected!r:.200}, got {got!r:.200}"


def c(call, *args):
    """A C function that gives -1 for errors."""
    ctypes.set_errno(0)
    result = getattr(libc, call)(*args)
    if result == -1:
        raise OSError(ctypes.get_errno(), call)
    return result


class Open:
    def __init__(self, path, flags=os.O_RDONLY, **options):
        self.fd = os.open(path, flags, **options)

    def __enter__(self):
        return self.fd

    def __exit__(self, *_):
        os.close(self.fd)


def as_user(uid, work):
    """Runs work in a child of another user; what it returns, or the error's name."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            try:
                result = work()
            except OSError as error:
                result = errno.errorcode.get(error.errno, str(error.errno))
            os.write(writer, json.dumps(result).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    data = b""
    while piece := os.read(reader, 65536):
        data += piece
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child of user {uid} failed: {status}"
    return json.loads(data)


def read(path):
    with open(path, "rb") as file:
        return file.read().decode("latin1")


# Opening


@check
def open_for_writing():
    """Opening for writing is EROFS, with whatever flags."""
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_TRUNC):
        for name in ("small", "large", "link", "empty"):
            fails(errno.EROFS, os.open, name, flags)
    fails(errno.EROFS, os.open, "large", os.O_RDONLY | os.O_TRUNC)
    equal(os.stat("large").st_size, len(LARGE))


@check
def open_creating():
    """O_CREAT opens what is there, and is EROFS for what is not."""
    with Open("small", os.O_CREAT) as fd:
        equal(os.read(fd, 10), b"text\n")
    fails(errno.EROFS, os.open, "absent", os.O_CREAT)
    fails(errno.EROFS, os.open, "dir/absent", os.O_CREAT | os.O_WRONLY)
    fails(errno.EEXIST, os.open, "small", os.O_CREAT | os.O_EXCL)
    fails(errno.EEXIST, os.open, "dangling", os.O_CREAT | os.O_EXCL)
    fails(errno.EROFS, os.open, "absent", os.O_CREAT | os.O_EXCL)
    fails(errno.EROFS, os.open, "dangling", os.O_CREAT)
    fails(errno.EISDIR, os.open, "dir", os.O_CREAT)
    fails((errno.EROFS, errno.EOPNOTSUPP), os.open, "dir", os.O_TMPFILE | os.O_RDWR)


@check
def open_kinds():
    """O_DIRECTORY and O_NOFOLLOW open only what they say."""
    fails(errno.ENOTDIR, os.open, "small", os.O_DIRECTORY)
    fails(errno.ENOTDIR, os.open, "link", os.O_DIRECTORY)
    fails(errno.ELOOP, os.open, "link", os.O_NOFOLLOW)
    fails((errno.ELOOP, errno.ENOTDIR), os.open, "dirlink", os.O_NOFOLLOW | os.O_DIRECTORY)
    with Open("dirlink", os.O_DIRECTORY) as fd:
        equal(os.fstat(fd).st_ino, os.stat("dir").st_ino)
    fails(errno.EISDIR, os.open, "dir", os.O_WRONLY)
    fails(errno.EISDIR, os.open, "dir", os.O_RDWR)
    with Open("dir") as fd:
        fails(errno.EISDIR, os.read, fd, 10)


@check
def open_path():
    """O_PATH gives a descriptor for looking, not for reading."""
    with Open("link", os.O_PATH | os.O_NOFOLLOW) as fd:
        assert stat.S_ISLNK(os.fstat(fd).st_mode)
        equal(os.readlink("", dir_fd=fd), "large")
    with Open("secret", os.O_PATH) as fd:
        fails(errno.EBADF, os.read, fd, 1)
        with Open(f"/proc/self/fd/{fd}") as again:
            equal(os.read(again, 10), b"secret\n")
    with Open("dir", os.O_PATH) as fd:
        equal(os.stat("a", dir_fd=fd).st_ino, os.stat("dir/a").st_ino)
        fails(errno.EBADF, os.listdir, fd)


@check
def open_noatime():
    """O_NOATIME is for the owner and for root; reading changes no time."""
    before = os.stat("large")
    with Open("large", os.O_NOATIME) as fd:
        os.read(fd, 100)
    read("large")
    os.listdir("dir")
    equal(os.stat("large").st_atime_ns, before.st_atime_ns)
    equal(os.stat("large").st_ctime_ns, before.st_ctime_ns)
    equal(as_user(NOBODY, lambda: os.open("large", os.O_NOATIME)), "EPERM")


@check
def open_often():
    """A file can be open many times, each with an offset of its own."""
    fds = [os.open("large", os.O_RDONLY) for _ in range(300)]
    try:
        for i, fd in enumerate(fds):
            os.lseek(fd, i * 6, os.SEEK_SET)
        for i, fd in enumerate(fds):
            equal(os.read(fd, 6), b"large ", f"descriptor {i}")
        twin = os.dup(fds[0])
        os.lseek(twin, 3, os.SEEK_SET)
        equal(os.read(fds[0], 3), b"ge ")
        os.close(twin)
    finally:
        for fd in fds:
            os.close(fd)


# Changing


@check
def names_do_not_change():
    """Names cannot be made, removed, moved or linked: EROFS."""
    fails(errno.EROFS, os.mkdir, "new")
    fails(errno.EROFS, os.mknod, "new", stat.S_IFREG | 0o644)
    fails(errno.EROFS, os.mkfifo, "new")
    fails(errno.EROFS, os.symlink, "target", "new")
    fails(errno.EROFS, os.link, "small", "new")
    fails(errno.EROFS, os.rename, "small", "new")
    fails(errno.EROFS, os.rename, "small", "large")
    fails(errno.EROFS, os.rename, "dir", "new")
    fails(errno.EROFS, os.unlink, "small")
    fails(errno.EROFS, os.unlink, "link")
    fails(errno.EROFS, os.rmdir, "dir/sub")
    fails(errno.EEXIST, os.mkdir, "dir")
    fails(errno.EEXIST, os.symlink, "target", "small")
    fails(errno.EXDEV, os.rename, "small", "/tmp/sealfs-never")
    fails(errno.EXDEV, os.link, "small", "/tmp/sealfs-never")
    fails(errno.EROFS, lambda: c("renameat2", -100, b"small", -100, b"large", 2))


@check
def attributes_do_not_change():
    """Modes, owners, times, sizes and xattrs cannot be changed: EROFS."""
    for name in ("small", "large", "dir"):
        fails(errno.EROFS, os.chmod, name, 0o777)
        fails(errno.EROFS, os.chown, name, 1, 1)
        fails(errno.EROFS, os.utime, name)
        fails(errno.EROFS, os.utime, name, (1, 1))
        fails(errno.EROFS, os.setxattr, name, "user.new", b"value")
    fails(errno.EROFS, os.removexattr, "attrs", "user.small")
    fails(errno.EROFS, os.removexattr, "attrs", "user.absent")
    fails(errno.EROFS, os.chown, "link", 1, 1, follow_symlinks=False)
    fails(errno.EROFS, os.utime, "link", (1, 1), follow_symlinks=False)
    fails(errno.EROFS, os.truncate, "large", 0)
    fails(errno.EROFS, os.truncate, "large", len(LARGE))
    fails(errno.EISDIR, os.truncate, "dir", 0)
    with Open("large") as fd:
        fails(errno.EROFS, os.fchmod, fd, 0o777)
        fails(errno.EROFS, os.fchown, fd, 1, 1)
        fails((errno.EINVAL, errno.EBADF), os.ftruncate, fd, 0)
        fails(errno.EROFS, os.setxattr, fd, "user.new", b"value")


@check
def content_does_not_change():
    """What is open for reading cannot be written in any way: EBADF."""
    with Open("large") as fd, Open("odd") as source:
        fails(errno.EBADF, os.write, fd, b"x")
        fails(errno.EBADF, os.pwrite, fd, b"x", 0)
        fails(errno.EBADF, os.writev, fd, [b"x"])
        fails(errno.EBADF, os.posix_fallocate, fd, 0, 10)
        fails(errno.EBADF, lambda: c("fallocate", fd, 3, ctypes.c_long(0), ctypes.c_long(4096)))
        fails(errno.EBADF, os.copy_file_range, source, fd, 100)
        fails(errno.EBADF, os.sendfile, fd, source, 0, 100)
        os.fsync(fd)
        os.fdatasync(fd)


@check
def access_for_writing():
    """access(2) says that nothing can be written, also to root."""
    for name in ("small", "large", "dir", "link"):
        fails(errno.EROFS, lambda each=name: c("access", each.encode(), os.W_OK))
    c("access", b"small", os.R_OK)
    c("access", b"program", os.X_OK)
    c("access", b"dir", os.X_OK)
    fails(errno.EACCES, lambda: c("access", b"small", os.X_OK))
    fails(errno.ENOENT, lambda: c("access", b"absent", os.F_OK))
    equal(as_user(NOBODY, lambda: os.access("secret", os.R_OK)), False)


# Directories


class Dirent(ctypes.Structure):
    _fields_ = [
        ("ino", ctypes.c_uint64),
        ("off", ctypes.c_int64),
        ("reclen", ctypes.c_uint16),
        ("type", ctypes.c_uint8),
        ("name", ctypes.c_char * 256),
    ]


class Directory:
    def __init__(self, path):
        self.pointer = libc.opendir(path)
        assert self.pointer, f"opendir {path}"

    def next(self):
        entry = libc.readdir64(self.pointer)
        if not entry:
            return None
        found = ctypes.cast(entry, ctypes.POINTER(Dirent)).contents
        return found.name, found.type, found.ino

    def tell(self):
        return libc.telldir(self.pointer)

    def seek(self, position):
        libc.seekdir(self.pointer, position)

    def rewind(self):
        libc.rewinddir(self.pointer)

    def all(self):
        entries = []
        while entry := self.next():
            entries.append(entry)
        return entries

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.closedir(self.pointer)


@check
def listing_is_whole():
    """A listing has every name once, with . and .."""
    for path, names in ((b"many", {b"%d" % i for i in range(MANY)}), (b"dir", {b"a", b"b", b"sub"})):
        with Directory(path) as directory:
            found = [name for name, _, _ in directory.all()]
        equal(len(found), len(set(found)), "duplicates")
        equal(set(found), names | {b".", b".."})
    with Directory(b"dir/sub") as directory:
        equal(sorted(name for name, _, _ in directory.all()), [b".", b".."])


@check
def listing_types():
    """d_type is the file's type, and never unknown."""
    with Directory(b".") as directory:
        for name, kind, _ in directory.all():
            if libfuse() and name.startswith(b"\xef\xbf\xbd"):
                continue  # documented: names outside UTF-8 are lost
            equal(kind, os.lstat(name).st_mode >> 12, name)


@check
def listing_resumes():
    """seekdir(3) leads back to where telldir(3) was, anywhere, again and again."""
    with Directory(b"many") as directory:
        places = []
        while True:
            place = directory.tell()
            entry = directory.next()
            if entry is None:
                break
            places.append((place, entry))
        equal(len(places), MANY + 2)
        for step in (1, 7, 501, 2999):
            for place, entry in places[:: -step]:
                directory.seek(place)
                equal(directory.next(), entry, f"at {place}")
        place, _ = places[1500]
        directory.seek(place)
        equal(directory.all(), [entry for _, entry in places[1500:]])
        directory.rewind()
        equal(directory.all(), [entry for _, entry in places])
        equal(directory.next(), None, "after the end")


@check
def listing_during_churn():
    """Many readers at once all get the same listing and the same content."""
    expected = sorted(os.listdir("many"))
    wrong = []

    def work(seed):
        for i in range(3):
            if sorted(os.listdir("many")) != expected:
                wrong.append("listing")
            with Directory(b"many") as directory:
                directory.next()
                place = directory.tell()
                after = directory.all()
                directory.seek(place)
                if directory.all() != after:
                    wrong.append("after seekdir")
            for name in range(seed % 5, MANY, 501):
                os.stat(f"many/{name}")
            if read("large") != LARGE.decode() or read("odd").encode("latin1") != ODD:
                wrong.append("content")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(wrong, [])


@check
def parents():
    """.. leads up, and out of the mount at its root."""
    equal(os.stat("dir/sub/../..").st_ino, os.stat(".").st_ino)
    equal(os.stat("..").st_ino, os.stat(os.path.dirname(os.getcwd())).st_ino)
    here = os.getcwd()
    os.chdir("dir/sub")
    equal(os.getcwd(), f"{here}/dir/sub")
    os.chdir("../..")
    equal(os.getcwd(), here)
    with Open("dir") as fd:
        os.fchdir(fd)
        equal(sorted(os.listdir()), ["a", "b", "sub"])
    os.chdir(here)


# Names


@check
def lookup_errors():
    """Paths fail as they should: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG."""
    for name in ("absent", "dangling", "dir/absent", "dir/absent/x", ""):
        fails(errno.ENOENT, os.stat, name)
    for name in ("small/x", "small/", "small/.", "link/x", "small/.."):
        fails(errno.ENOTDIR, os.stat, name)
    for name in ("self", "loop1", "loop2/x", "loop1/"):
        fails(errno.ELOOP, os.stat, name)
    assert stat.S_ISLNK(os.lstat("loop1").st_mode)
    fails(errno.ENAMETOOLONG, os.stat, "n" * 256)
    fails(errno.ENAMETOOLONG, os.stat, "dir/" + "n" * 256)
    fails(errno.ENAMETOOLONG, os.stat, "./" * 2048 + "small")
    fails(errno.ENOENT, os.stat, "n" * 255 + "/x")
    equal(os.stat("./" * 2040 + "small").st_ino, os.stat("small").st_ino)
    equal(os.stat("l" * 255).st_size, 5)


@check
def links():
    """Symlinks hold their bytes, follow chains up to the limit, and give no more than asked."""
    equal(os.readlink("link"), "large")
    equal(os.readlink("long"), "t" * 4000)
    equal(os.lstat("long").st_size, 4000)
    buffer = ctypes.create_string_buffer(10)
    equal(c("readlink", b"long", buffer, 10), 10)
    equal(buffer.raw, b"t" * 10)
    fails(errno.EINVAL, os.readlink, "small")
    fails(errno.EINVAL, os.readlink, "dir")
    equal(read("chain39"), "text\n")
    fails(errno.ELOOP, os.stat, "chain41")
    equal(sorted(os.listdir("dirlink")), ["a", "b", "sub"])


@check
def hard_links():
    """Hard links are one inode; others are not."""
    one, two, other = (os.stat(name) for name in ("large", "hard", "odd"))
    equal((one.st_dev, one.st_ino, one.st_nlink), (two.st_dev, two.st_ino, 2))
    assert (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino)
    equal(os.stat("odd").st_nlink, 1)
    equal(os.stat("dir").st_nlink, 3)


@check
def byte_names():
    """Names are bytes, whatever they mean."""
    if libfuse():
        return  # documented: names outside UTF-8 are lost
    name = b"\xff\xfe caf\xe9"
    assert name in os.listdir(b".")
    equal(os.stat(name).st_size, 0)
    equal(os.stat("new\nline").st_size, 0)


# Reading


@check
def reads_at_any_place():
    """Reads of any length at any place give exactly the bytes that are there."""
    with Open("odd") as fd, Open("large") as large:
        for at in (0, 1, 4095, 4096, 4097, 8191, 8192, 9999, 10_000):
            for length in (0, 1, 2, 4095, 4096, 4097, 20_000):
                equal(os.pread(fd, length, at), ODD[at : at + length], f"{length} at {at}")
        for at in (131_071, 131_072, 131_073, 262_143, 299_999):
            equal(os.pread(large, 200_000, at), LARGE[at : at + 200_000], f"at {at}")


@check
def reads_past_the_end():
    """Past the end there is nothing; before the start there is EINVAL."""
    with Open("odd") as fd:
        for at in (len(ODD), len(ODD) + 1, 12_288, 1 << 31, 1 << 40, (1 << 62)):
            equal(os.pread(fd, 100, at), b"", f"at {at}")
        fails(errno.EINVAL, os.pread, fd, 1, -1)
        fails(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)
        equal(os.lseek(fd, 0, os.SEEK_END), len(ODD))
        equal(os.read(fd, 10), b"")
        equal(os.lseek(fd, -1, os.SEEK_CUR), len(ODD) - 1)
        equal(os.read(fd, 10), ODD[-1:])
    with Open("empty") as fd:
        equal(os.read(fd, 10), b"")


@check
def vector_reads():
    """readv and preadv fill their buffers in order."""
    with Open("odd") as fd:
        buffers = [bytearray(10), bytearray(5000), bytearray(100_000)]
        equal(os.preadv(fd, buffers, 3), len(ODD) - 3)
        equal(bytes(buffers[0]), ODD[3:13])
        equal(bytes(buffers[1]), ODD[13:5013])
        equal(bytes(buffers[2][: len(ODD) - 5013]), ODD[5013:])


@check
def direct_reads():
    """O_DIRECT gives the right bytes, or says EINVAL where the file system below wants alignment."""
    fd = None
    try:
        fd = os.open("odd", os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        equal(error.errno, errno.EINVAL)
        return
    try:
        buffer = mmap.mmap(-1, 16384)
        for at, length in ((0, 4096), (4096, 8192), (8192, 4096), (0, 16384), (12_288, 4096), (16_384, 4096)):
            got = os.preadv(fd, [memoryview(buffer)[:length]], at)
            equal(buffer[:got], ODD[at : at + length], f"{length} at {at}")
        for at, length in ((1, 100), (4095, 2), (9_000, 5000), (3, 4096), (10_000, 512)):
            try:
                got = os.preadv(fd, [memoryview(buffer)[:length]], at)
            except OSError as error:
                equal(error.errno, errno.EINVAL)
                continue
            equal(buffer[:got], ODD[at : at + length], f"{length} at {at}")
    finally:
        os.close(fd)


@check
def holes():
    """SEEK_DATA and SEEK_HOLE find data from start to end, and ENXIO beyond."""
    with Open("odd") as fd:
        equal(os.lseek(fd, 0, os.SEEK_DATA), 0)
        equal(os.lseek(fd, 5000, os.SEEK_DATA), 5000)
        equal(os.lseek(fd, 0, os.SEEK_HOLE), len(ODD))
        fails(errno.ENXIO, os.lseek, fd, len(ODD), os.SEEK_DATA)
        fails(errno.ENXIO, os.lseek, fd, len(ODD), os.SEEK_HOLE)


@check
def transfers():
    """sendfile, splice and copy_file_range carry content out."""
    for name, content in (("odd", ODD), ("large", LARGE)):
        with Open(name) as fd:
            left, right = socket.socketpair()
            received = bytearray()

            def receive(end=right, into=received):
                while piece := end.recv(65536):
                    into.extend(piece)

            thread = threading.Thread(target=receive)
            thread.start()
            sent = 0
            while count := os.sendfile(left.fileno(), fd, sent, 1 << 20):
                sent += count
            left.close()
            thread.join()
            right.close()
            equal(bytes(received), content, name)
            source, sink = os.pipe()
            moved = c("splice", fd, ctypes.byref(ctypes.c_int64(4097)), sink, None, 4096, 0)
            equal(os.read(source, 65536), content[4097 : 4097 + moved], "splice")
            os.close(source)
            os.close(sink)
            out = os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
            try:
                copied = os.copy_file_range(fd, out, 5000, 1, 0)
                equal(os.pread(out, 10_000, 0), content[1 : 1 + copied], "copy_file_range")
            except OSError as error:
                equal(error.errno, errno.EXDEV)
            os.close(out)


@check
def advice():
    """Readahead and advice are taken, polls are ready, unknown ioctls are ENOTTY."""
    with Open("large") as fd:
        for what in (os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_WILLNEED, os.POSIX_FADV_DONTNEED):
            os.posix_fadvise(fd, 0, 0, what)
        c("readahead", fd, ctypes.c_int64(0), 100_000)
        equal(os.pread(fd, 60, 0), LARGE[:60])
        assert select.select([fd], [], [], 0)[0] == [fd]
        fails((errno.ENOTTY, errno.ENOSYS), fcntl.ioctl, fd, 0x1234, 0)


# Memory


@check
def private_maps():
    """A private mapping can be changed, the file cannot."""
    with Open("odd") as fd:
        map_ = mmap.mmap(fd, len(ODD), mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        equal(map_[:], ODD)
        map_[5000:5010] = b"0123456789"
        equal(map_[5000:5010], b"0123456789")
        equal(os.pread(fd, 10, 5000), ODD[5000:5010])
        map_.close()


@check
def shared_maps():
    """A shared mapping can be read and not written; it outlives its descriptor."""
    fd = os.open("large", os.O_RDONLY)
    map_ = mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    fails(errno.EACCES, mmap.mmap, fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(fd)
    equal(map_[:], LARGE)
    equal(map_[299_990:], LARGE[299_990:])
    map_.madvise(mmap.MADV_DONTNEED)
    equal(map_[150_000:150_060], LARGE[150_000:150_060])
    map_.close()


@check
def maps_past_the_end():
    """Behind the end the last page is zero, and the next one is SIGBUS."""
    with Open("odd") as fd:
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        address = libc.mmap(None, 16384, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        equal(ctypes.string_at(address + len(ODD), 12_288 - len(ODD)), bytes(12_288 - len(ODD)))
        child = os.fork()
        if child == 0:
            ctypes.string_at(address + 12_288, 1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, f"status {status}"


# Programs


@check
def programs():
    """Programs and scripts run, also by descriptor; a file without x does not."""
    equal(subprocess.check_output(["./script", "word"]), b"ran word\n")
    equal(subprocess.check_output(["./program", "-u"]), b"0\n")
    fails(errno.EACCES, os.execv, "small", ["small"])
    fails(errno.EACCES, os.execv, "dir", ["dir"])
    fails(errno.ENOEXEC, os.execv, "garbage", ["garbage"])
    with Open("program") as fd:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writer, 1)
            os.execve(fd, ["id", "-u"], {})
        os.close(writer)
        equal(os.read(reader, 100), b"0\n")
        os.waitpid(child, 0)
        os.close(reader)


@check
def no_set_user_id():
    """Set-user-id and set-group-id programs run as who starts them."""
    mode = os.stat("setuid").st_mode
    assert mode & stat.S_ISUID, "the bit is shown"
    run = lambda: subprocess.check_output(["./setuid", "-u"]).decode()
    equal(as_user(NOBODY, run), f"{NOBODY}\n")
    run = lambda: subprocess.check_output(["./setgid", "-g"]).decode()
    equal(as_user(NOBODY, run), f"{NOBODY}\n")


@check
def no_devices():
    """Device nodes are shown and cannot be opened."""
    node = os.stat("null")
    assert stat.S_ISCHR(node.st_mode)
    equal(node.st_rdev, os.makedev(1, 3))
    fails(errno.EACCES, os.open, "null", os.O_RDONLY)


@check
def fifos_and_sockets():
    """A fifo joins two processes; nobody listens on a socket."""
    assert stat.S_ISFIFO(os.stat("fifo").st_mode)
    fails(errno.ENXIO, os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    with Open("fifo", os.O_RDONLY | os.O_NONBLOCK) as reader:
        with Open("fifo", os.O_WRONLY) as writer:
            os.write(writer, b"through")
            equal(os.read(reader, 100), b"through")
    assert stat.S_ISSOCK(os.stat("socket").st_mode)
    with socket.socket(socket.AF_UNIX) as client:
        fails(errno.ECONNREFUSED, client.connect, "socket")
    fails(errno.ENXIO, os.open, "socket", os.O_RDONLY)


# Rights


@check
def modes_are_enforced():
    """Another user gets what modes let, and no more."""
    equal(as_user(NOBODY, lambda: read("small")), "text\n")
    equal(as_user(NOBODY, lambda: read("secret")), "EACCES")
    equal(as_user(NOBODY, lambda: read("closed/inside")), "EACCES")
    equal(as_user(NOBODY, lambda: os.listdir("closed")), "EACCES")
    equal(as_user(NOBODY, lambda: os.stat("closed/inside").st_size), "EACCES")
    equal(as_user(NOBODY, lambda: os.stat("closed").st_mode & 0o777), 0o700)
    equal(as_user(NOBODY, lambda: read("own")), "own\n")
    equal(as_user(STRANGER, lambda: read("own")), "EACCES")


@check
def acls_are_enforced():
    """An ACL lets one user in and keeps another out."""
    if libfuse():
        return  # documented: ACLs are shown and not enforced
    equal(as_user(NOBODY, lambda: read("granted")), "for nobody\n")
    equal(as_user(STRANGER, lambda: read("granted")), "EACCES")


@check
def handles():
    """File handles lead to the same file, or there are none."""
    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_char * 128)]

    for name in (b"large", b"dir", b"dir/a"):
        handle = Handle(bytes=128)
        mount_id = ctypes.c_int()
        try:
            c("name_to_handle_at", -100, name, ctypes.byref(handle), ctypes.byref(mount_id), 0)
        except OSError as error:
            equal(error.errno, errno.EOPNOTSUPP)
            return
        with Open(".") as root:
            try:
                fd = c("open_by_handle_at", root, ctypes.byref(handle), os.O_RDONLY)
            except OSError as error:
                assert error.errno in (errno.EOPNOTSUPP, errno.ESTALE, errno.EPERM), errno.errorcode[error.errno]
                return
            equal(os.fstat(fd).st_ino, os.stat(name).st_ino)
            os.close(fd)


# Attributes


@check
def attribute_sizes():
    """getxattr and listxattr tell sizes, fill what is large enough, and refuse what is not."""
    value = b"v" * 3000
    size = lambda name: c("getxattr", b"attrs", name, None, 0)
    equal(size(b"user.large"), 3000)
    equal(size(b"user.empty"), 0)
    equal(size(b"user.small"), 5)
    for room in (1, 2999):
        buffer = ctypes.create_string_buffer(room)
        fails(errno.ERANGE, lambda b=buffer, r=room: c("getxattr", b"attrs", b"user.large", b, r))
    buffer = ctypes.create_string_buffer(4000)
    for room in (3000, 3001, 4000):
        equal(c("getxattr", b"attrs", b"user.large", buffer, room), 3000)
        equal(buffer.raw[:3000], value)
    fails(errno.ENODATA, os.getxattr, "attrs", "user.absent")
    fails(errno.ENODATA, os.getxattr, "small", "user.small")
    fails((errno.EOPNOTSUPP, errno.ENODATA), os.getxattr, "attrs", "nonsense")
    needed = c("listxattr", b"attrs", None, 0)
    listed = c("listxattr", b"attrs", buffer, needed)
    least = listed < needed and (overlay() or libfuse())
    assert listed == needed or least, f"{needed} announced, {listed} came"
    names = set(buffer.raw[:listed].split(b"\0")) - {b""}
    if not libfuse():
        fails(errno.ERANGE, lambda: c("listxattr", b"attrs", buffer, listed - 1))
    equal(names, {b"user.large", b"user.empty", b"user.small", b"user.bytes", b"trusted.shown"})
    equal(os.getxattr("attrs", "user.bytes"), bytes(range(256)))
    equal(os.listxattr("small"), [])
    with Open("attrs") as fd:
        equal(os.getxattr(fd, "user.small"), b"value")


@check
def hidden_attributes():
    """Attributes of the image's making are hidden; trusted ones are shown to root alone."""
    for name in ("large", "odd", "dir", "attrs", "hard"):
        for attribute in os.listxattr(name):
            assert not attribute.startswith("trusted.overlay."), f"{name} shows {attribute}"
        fails((errno.ENODATA, errno.EOPNOTSUPP), os.getxattr, name, "trusted.overlay.metacopy")
        fails((errno.ENODATA, errno.EOPNOTSUPP), os.getxattr, name, "trusted.overlay.redirect")
    equal(os.getxattr("attrs", "trusted.shown"), b"to root")
    seen = as_user(NOBODY, lambda: sorted(os.listxattr("attrs")))
    if not libfuse():  # documented
        equal([name for name in seen if name.startswith("trusted")], [])
    equal(as_user(NOBODY, lambda: len(os.getxattr("attrs", "trusted.shown"))), "ENODATA")


@check
def stat_fields():
    """stat tells modes, owners, sizes and times as the image has them, and the same every time."""
    large = os.stat("large")
    equal((large.st_size, stat.S_IMODE(large.st_mode)), (len(LARGE), 0o644))
    assert large.st_blocks * 512 >= len(LARGE), f"{large.st_blocks} blocks"
    assert large.st_blksize >= 512
    own = os.stat("own")
    equal((own.st_uid, own.st_gid), (NOBODY, STRANGER))
    nanoseconds = 123_000_000 if libfuse() else 123_456_789
    equal(os.stat("attrs").st_mtime_ns, 1_700_000_000_000_000_000 + nanoseconds)
    equal(os.stat("attrs").st_ctime_ns, os.stat("attrs").st_mtime_ns)
    with Open("large") as fd:
        equal(os.fstat(fd), os.stat("large"))
    equal(os.lstat("link").st_size, 5)


@check
def file_system():
    """statfs says that it is read-only, without programs of others' rights and devices, and full."""
    info = os.statvfs(".")
    for flag in (os.ST_RDONLY, os.ST_NOSUID, os.ST_NODEV):
        assert info.f_flag & flag, f"flags {info.f_flag:x}"
    equal(info.f_namemax, 255)
    equal(info.f_bavail, 0)
    if not overlay():  # EROFS says something of its own
        equal(info.f_ffree, 0)
    equal(os.statvfs("dir/a").f_fsid, info.f_fsid)


# Watching and locking


@check
def locks():
    """Locks work between processes; a write lock needs a file that is open for writing."""
    with Open("large") as one, Open("large") as two:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fails(errno.EAGAIN, fcntl.flock, two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_SH)
        fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.lockf(one, fcntl.LOCK_SH | fcntl.LOCK_NB, 100, 0)
        fails(errno.EBADF, fcntl.lockf, one, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)
        fcntl.lockf(one, fcntl.LOCK_UN)


@check
def watches():
    """inotify tells of opening, reading and closing."""
    fd = c("inotify_init1", os.O_NONBLOCK)
    try:
        c("inotify_add_watch", fd, b"dir", 0xFFF)
        read("dir/a")
        seen = 0
        data = os.read(fd, 65536)
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            if data[16 : 16 + length].rstrip(b"\0") == b"a":
                seen |= mask
            data = data[16 + length :]
        for bit, what in ((0x20, "opened"), (0x01, "read"), (0x10, "closed")):
            assert seen & bit, f"not told: {what}"
        equal(seen & (0x02 | 0x08 | 0x100 | 0x200), 0, "told of changes")
    finally:
        os.close(fd)


def main():
    global way
    if len(sys.argv) == 1:
        print(json.dumps([sentence(each) for each in checks]))
        return
    os.chdir(sys.argv[1])
    way = sys.argv[2]
    results = []
    for each in checks:
        wrong = None
        try:
            each()
        except Exception as error:  # told to the test
            wrong = f"{type(error).__name__}: {error}"
        finally:
            os.chdir(sys.argv[1])
        results.append([sentence(each), wrong])
    print(json.dumps(results))


main()
