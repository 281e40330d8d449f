"""What lies on disk: volumes, folders of 2D pairs, and writing that is never seen half done."""

from .about import About, VolumeFile
from .images import fuse_folders, match_folders, read_image
from .volumes import WRITABLE, read_volume, read_volume_file, write_volume
from .writing import atomic_path, check_output, make_folder, write_csv, write_json, write_png

__all__ = [
    "WRITABLE",
    "About",
    "VolumeFile",
    "atomic_path",
    "check_output",
    "fuse_folders",
    "make_folder",
    "match_folders",
    "read_image",
    "read_volume",
    "read_volume_file",
    "write_csv",
    "write_json",
    "write_png",
    "write_volume",
]
