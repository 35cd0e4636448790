"""
A file system in user space whose files say odd things of themselves (FUSE; Debian: python3-fusepy).

odd_files.py FOLDER: mounts it there and stays, until the file system is unmounted. Standard input has what is in it:
a JSON object from name to {"size": stated, "content": text, "times": how often it stands there (default 1),
"ino", "nlink", "mtime", "ctime": seconds; "open", "read" and "listxattr": name of the errno that is answered;
"grows": true where reading makes the stated size the length}.
"""

import errno
import json
import stat
import sys

try:
    from fusepy import FUSE, FuseOSError, Operations
except ImportError:
    from fuse import FUSE, FuseOSError, Operations

LONG_AGO = 1700000000


class OddFiles(Operations):
    def __init__(self, files):
        self.files = {"/" + name: file for name, file in files.items()}
        self.numbers = {path: 100 + at for at, path in enumerate(sorted(self.files))}
        self.contents = {
            path: file["content"].encode() * file.get("times", 1) for path, file in self.files.items()
        }

    def getattr(self, path, fh=None):
        times = dict(st_mtime=LONG_AGO, st_ctime=LONG_AGO, st_atime=LONG_AGO, st_uid=0, st_gid=0)
        if path == "/":
            return dict(times, st_mode=stat.S_IFDIR | 0o755, st_nlink=2, st_ino=1)
        if path not in self.files:
            raise FuseOSError(errno.ENOENT)
        file = self.files[path]
        return dict(
            times,
            st_mtime=file.get("mtime", LONG_AGO),
            st_ctime=file.get("ctime", LONG_AGO),
            st_mode=stat.S_IFREG | 0o644,
            st_nlink=file.get("nlink", 1),
            st_ino=file.get("ino", self.numbers[path]),
            st_size=file["size"],
        )

    def readdir(self, path, fh):
        return [".", ".."] + [path[1:] for path in self.files]

    def open(self, path, flags):
        self.fail(path, "open")
        return 3

    def read(self, path, size, offset, fh):
        self.fail(path, "read")
        content = self.contents[path]
        if self.files[path].get("grows"):
            self.files[path]["size"] = len(content)
        return content[offset : offset + size]

    def listxattr(self, path):
        self.fail(path, "listxattr")
        return []

    def fail(self, path, call):
        if call in self.files.get(path, {}):
            raise FuseOSError(getattr(errno, self.files[path][call]))


# direct_io: what is read is not cut off at the stated size.
FUSE(
    OddFiles(json.load(sys.stdin)),
    sys.argv[1],
    foreground=True,
    nothreads=True,
    use_ino=True,
    direct_io=True,
    attr_timeout=0,
    entry_timeout=0,
)
