"""File systems by what the kernel lists: which one a path lies on, and which ones lie elsewhere."""

import pytest

from busbar_fast.governance.mounts import maybe_network_type

MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /srv rw,relatime - nfs4 filer:/srv rw,vers=4.2
31 30 0:31 / /srv/local rw - xfs /dev/sdb1 rw
32 22 0:32 / /mnt/with\\040blank rw shared:2 master:3 - cifs //filer/x rw
33 22 0:33 / /twice rw - nfs filer:/twice rw
34 22 0:34 / /twice rw - tmpfs tmpfs rw
35 22 0:35 / /fuse rw - fuse.sshfs user@host: rw
nonsense
36 22 0:36 / /half rw -
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/busbar/keys.db", ""),
        ("/srv/keys.db", "nfs4"),
        ("/srv", "nfs4"),
        ("/srvice/keys.db", ""),
        ("/srv/local/keys.db", ""),
        ("/mnt/with blank/keys.db", "cifs"),
        ("/twice/keys.db", ""),
        ("/fuse/deep/down/keys.db", "fuse.sshfs"),
        ("/half/keys.db", ""),
    ],
)
def test_network_file_systems_are_known(path: str, kind: str) -> None:
    """Governance §8 "exclusivity": the mount with the longest way to the file decides."""
    assert maybe_network_type(path, MOUNTS) == kind


def test_without_a_list_everything_is_local() -> None:
    """Governance §8 "exclusivity": a system that lists nothing is taken at its word."""
    assert maybe_network_type("/srv/keys.db", "") == ""
