"""
A file system in user space that shows what is in another folder, with one inode number for all files (FUSE; Debian:
python3-fusepy), as some union and network file systems do.

one_inode.py SHOWN FOLDER: mounts it on FOLDER and stays, until the file system is unmounted.
"""

import os
import stat
import sys

try:
    from fusepy import FUSE, Operations
except ImportError:
    from fuse import FUSE, Operations


class OneInode(Operations):
    def __init__(self, root):
        self.root = root

    def at(self, path):
        return self.root + path

    def getattr(self, path, fh=None):
        is_ = os.lstat(self.at(path))
        shown = {
            name: getattr(is_, name)
            for name in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino")
        }
        # Nanoseconds: fusepy counts in seconds otherwise, which lose some.
        for name in ("st_atime", "st_mtime", "st_ctime"):
            shown[name] = getattr(is_, name + "_ns")
        if stat.S_ISREG(is_.st_mode):
            shown.update(st_ino=42, st_nlink=2)
        return shown

    def readdir(self, path, fh):
        return [".", ".."] + os.listdir(self.at(path))

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def unlink(self, path):
        os.unlink(self.at(path))

    def rename(self, old, new):
        os.rename(self.at(old), self.at(new))

    def link(self, target, source):
        os.link(self.at(source), self.at(target))

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def chown(self, path, uid, gid):
        os.chown(self.at(path), uid, gid, follow_symlinks=False)

    def utimens(self, path, times=None):
        os.utime(self.at(path), ns=times, follow_symlinks=False)

    def truncate(self, path, length, fh=None):
        os.truncate(self.at(path), length)

    def create(self, path, mode, fi=None):
        return os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(self.at(path), flags & ~os.O_CREAT)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def release(self, path, fh):
        os.close(fh)


OneInode.use_ns = True
FUSE(
    OneInode(sys.argv[1]),
    sys.argv[2],
    foreground=True,
    nothreads=True,
    use_ino=True,
    attr_timeout=0,
    entry_timeout=0,
)
