"""What lies on disk: volumes, folders of 2D pairs, and writing that is never seen half done."""

from .about import About, VolumeFile
from .belonging import one_series, other_frame_of_reference, other_patient
from .datasets import lay_out, require
from .dicom_frames import frames_of
from .dicom_index import Contents, Series, check_images, index_folder, is_dicom, plain_pair
from .dicom_out import check_series, study_notice, write_dicom
from .folders import walk
from .images import full_scale, fuse_folders, grey_levels, match_folders, read_image
from .integrity import data_files
from .locking import locked
from .suv import Suv, suv_factor
from .units import check_unit, unit_facts
from .volumes import WRITABLE, list_series, read_volume, read_volume_file, split_series, write_volume
from .writing import (
    atomic_path,
    check_film,
    check_new_folder,
    check_output,
    check_picture,
    make_folder,
    remove_parts,
    write_csv,
    write_film,
    write_json,
    write_png,
)

__all__ = [
    "About",
    "Contents",
    "Series",
    "Suv",
    "VolumeFile",
    "WRITABLE",
    "atomic_path",
    "check_film",
    "check_images",
    "check_new_folder",
    "check_output",
    "check_picture",
    "check_series",
    "check_unit",
    "data_files",
    "frames_of",
    "full_scale",
    "fuse_folders",
    "grey_levels",
    "index_folder",
    "is_dicom",
    "lay_out",
    "list_series",
    "locked",
    "make_folder",
    "match_folders",
    "one_series",
    "other_frame_of_reference",
    "other_patient",
    "plain_pair",
    "read_image",
    "read_volume",
    "read_volume_file",
    "remove_parts",
    "require",
    "split_series",
    "study_notice",
    "suv_factor",
    "unit_facts",
    "walk",
    "write_csv",
    "write_dicom",
    "write_film",
    "write_json",
    "write_png",
    "write_volume",
]
