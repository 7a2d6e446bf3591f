#!/usr/bin/env python3
"""A reader of one file that is told what to do: one command a line, one answer a line. A bus error ends it.
 open PATH | mmap | close          -> ok, or the errno
 read OFFSET LENGTH | touch OFFSET LENGTH (of the mapping) -> hex of the bytes, or the errno
 drop                              -> the file's pages leave the page cache"""
import os, sys, mmap
fd = -1
mapping = None
for line in sys.stdin:
    word, *args = line.rstrip('\n').split(' ')
    try:
        answer = 'ok'
        if word == 'open': fd = os.open(args[0], os.O_RDONLY)
        elif word == 'read': answer = os.pread(fd, int(args[1]), int(args[0])).hex()
        elif word == 'mmap': mapping = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        elif word == 'touch': answer = mapping[int(args[0]):int(args[0]) + int(args[1])].hex()
        elif word == 'drop':
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if mapping is not None: mapping.madvise(mmap.MADV_DONTNEED); os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        elif word == 'close': os.close(fd)
    except OSError as error:
        answer = 'errno %d' % error.errno
    print(answer, flush=True)
