"""user-listing.py ROOT: every path with all that its user can see, one JSON array a line, sorted: path, mode, links, size,
seconds and nanoseconds, device, target, xattrs, and what reading a file or listing a directory gives."""
import hashlib, json, os, stat, sys
root = os.fsencode(sys.argv[1])
def tried(work):
    try: return work()
    except OSError as error: return 'errno %d' % error.errno
def xattrs(path):
    return {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(os.listxattr(path, follow_symlinks=False))}
def content(path):
    with open(path, 'rb', buffering=0) as f: return hashlib.sha256(f.read()).hexdigest()
def walk(path):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    row = [path[len(root):].hex(), oct(s.st_mode), s.st_nlink, s.st_size if kind == stat.S_IFREG else 0, s.st_mtime_ns, s.st_rdev,
           os.readlink(path).hex() if kind == stat.S_IFLNK else None, tried(lambda: xattrs(path))]
    names = tried(lambda: sorted(os.listdir(path))) if kind == stat.S_IFDIR else None
    row.append([n.hex() for n in names] if isinstance(names, list) else names or (tried(lambda: content(path)) if kind == stat.S_IFREG else None))
    print(json.dumps(row))
    for name in names if isinstance(names, list) else []: walk(path + b'/' + name)
walk(root)
