"""What kind of file system a file lies on, as far as the kernel tells: everybody sees a lock on a local one only."""

import re
from typing import Final

_NETWORK: Final = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "orangefs",
        "ocfs2",
        "gfs2",
        "pvfs2",
        "davfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.rclone",
        "fuse.davfs",
        "fuse.juicefs",
        "fuse.mountpoint-s3",
    ]
)
_POINT: Final = 4  # the field that says where something is mounted
_unescape = re.compile(r"\\([0-7]{3})").sub


def maybe_network_type(path: str, mounts: str) -> str:
    """Return the kind of network file system that a whole path without links lies on, nothing if it is a local one.

    `mounts` is what `/proc/self/mountinfo` holds (proc_pid_mountinfo(5)); of two mounts on one place the later counts.
    """
    found = ""
    longest = -1
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        kind = right.partition(" ")[0]
        if len(fields) <= _POINT or not kind:
            continue
        point = _unescape(lambda octal: chr(int(octal[1], 8)), fields[_POINT])
        is_within = path == point or path.startswith(point if point.endswith("/") else point + "/")
        if is_within and len(point) >= longest:
            longest, found = len(point), kind
    return found if found in _NETWORK else ""
