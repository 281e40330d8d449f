"""Damaged, truncated and impossible volume files: refused in one clear line, whatever ITK makes of them."""

import gzip
import os
import random
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.files import read_volume
from support.phantoms import Grid, head
from support.reading import SMALL, refusal


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "hdr", "mha", "mhd", "nhdr", "vtk", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path, capfd, ending, compressed, share):
    path = tmp_path / f"cut.{ending}"
    noise = np.random.default_rng(0).integers(0, 1000, (18, 24, 20)).astype(np.int16)
    sitk.WriteImage(SMALL.image(noise), str(path), useCompression=compressed)
    data = max(tmp_path.iterdir(), key=lambda file: file.stat().st_size)  # the detached file where there is one
    data.write_bytes(data.read_bytes()[: int(share * data.stat().st_size)])
    refusal(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_damaged_compressed_data_are_refused(tmp_path, ending):
    path = tmp_path / f"damaged.{ending}"
    noise = np.random.default_rng(0).integers(0, 1000, (60, 64, 64)).astype(np.int16)
    sitk.WriteImage(Grid(size=(64, 64, 60)).image(noise), str(path), useCompression=True)
    data = bytearray(path.read_bytes())
    for place in range(len(data) * 3 // 4, len(data) * 3 // 4 + 8):
        data[place] ^= 0xFF
    path.write_bytes(data)
    refusal(path)


def nrrd_header(sizes, encoding="gzip", directions="(1,0,0) (0,1,0) (0,0,1)"):
    lines = f"""\
        NRRD0004
        type: short
        dimension: 3
        space: left-posterior-superior
        sizes: {sizes}
        space directions: {directions}
        kinds: domain domain domain
        endian: little
        encoding: {encoding}
        space origin: (0,0,0)

        """
    return textwrap.dedent(lines).encode()


def test_headers_that_declare_too_much_are_refused_before_anything_is_allocated(tmp_path):
    """In a process that may not allocate 2 GB, so that reading the voxels would fail in another way."""
    paths = [tmp_path / name for name in ("bomb.nrrd", "raw.nrrd", "zip.nrrd", "bomb.nii", "bomb.nii.gz")]
    paths[0].write_bytes(nrrd_header("1000000 1000000 1000000") + gzip.compress(bytes(1000)))
    paths[1].write_bytes(nrrd_header("1000 1000 1000", "raw") + bytes(1000))
    paths[2].write_bytes(nrrd_header("1000 1000 1000") + gzip.compress(bytes(1000)))
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkInt16), str(paths[3]))
    data = bytearray(paths[3].read_bytes())
    struct.pack_into("<3h", data, 42, 1000, 1000, 1000)
    paths[3].write_bytes(data)
    paths[4].write_bytes(gzip.compress(bytes(data)))
    script = """
        import resource, sys
        from MMIFAminLib import InputError
        from MMIFAminLib.files.volumes import read_volume
        in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 500_000_000,) * 2)
        for path in sys.argv[1:]:
            try:
                read_volume(path)
            except InputError as error:
                print(error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *paths], capture_output=True, text=True)
    lines = result.stdout.splitlines()
    assert len(lines) == len(paths), result.stderr
    assert "declares 1000000 x 1000000 x 1000000 voxels" in lines[0]
    assert all("truncated" in line for line in lines[1:])


@pytest.mark.parametrize(
    "directions, words",
    [
        ("(0,0,0) (0,1,0) (0,0,1)", "spacing is not above 0"),
        ("(1,0,0) (1,0,0) (0,0,1)", "singular"),
        ("(nan,0,0) (0,1,0) (0,0,1)", "cannot be read"),
    ],
)
def test_impossible_grids_are_refused(tmp_path, directions, words):
    (tmp_path / "grid.nrrd").write_bytes(nrrd_header("4 4 4", "raw", directions) + bytes(128))
    assert words in refusal(tmp_path / "grid.nrrd")


def test_sheared_nifti_is_explained(tmp_path):
    path = tmp_path / "tilted.nii"
    sitk.WriteImage(head(SMALL), str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2h", data, 252, 0, 1)
    struct.pack_into("<12f", data, 280, 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(data)
    assert "not at right angles" in refusal(path)


@pytest.mark.parametrize(
    "place, form, value, words",
    [(108, "<f", 0.0, "begin inside the header"), (108, "<f", 1e9, "truncated"), (42, "<h", -8, "declares -8 x")],
)
def test_nifti_headers_that_cannot_be(tmp_path, place, form, value, words):
    path = tmp_path / "head.nii"
    sitk.WriteImage(head(SMALL), str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, place, value)
    path.write_bytes(data)
    assert words in refusal(path)


def test_missing_foreign_and_flat_files_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "nothing.nrrd")
    for name, content in {"text.txt": b"hello", "noise.nii.gz": os.urandom(4000)}.items():
        (tmp_path / name).write_bytes(content)
        assert "damaged" in refusal(tmp_path / name)
    sitk.WriteImage(sitk.Image([16, 16], sitk.sitkUInt8), str(tmp_path / "flat.png"))
    assert "2D image" in refusal(tmp_path / "flat.png")


def test_a_dimension_count_that_crashes_itk_is_refused(tmp_path):
    for count in ("-3", "36", "0", "x"):
        (tmp_path / "dims.mha").write_text(f"ObjectType = Image\nNDims = {count}\nDimSize = 2 2 2\n")
        assert f"NDims = {count}" in refusal(tmp_path / "dims.mha")


def test_mutated_headers_are_read_or_refused(tmp_path):
    """In a process of its own, which a crash inside ITK would end."""
    generator = random.Random(7)
    paths = []
    for number in range(120):
        ending = generator.choice(("nrrd", "nii", "nii.gz", "mha"))
        path = tmp_path / f"{number}.{ending}"
        sitk.WriteImage(head(SMALL, scale=900, dtype=np.int16), str(path), useCompression=number % 2 == 0)
        data = bytearray(path.read_bytes())
        if ending == "nii.gz":
            data = bytearray(gzip.decompress(bytes(data)))
        for _ in range(generator.randint(1, 6)):
            place = generator.randrange(350)
            byte = generator.choice((generator.randrange(256), ord(generator.choice("0123456789-.(), \n"))))
            data[place : place + generator.randint(0, 1)] = bytes([byte]) * generator.randint(0, 1)
        path.write_bytes(gzip.compress(bytes(data)) if ending == "nii.gz" else bytes(data))
        paths.append(path)
    script = """
        import sys
        from MMIFAminLib import InputError
        from MMIFAminLib.files.volumes import read_volume
        for path in sys.argv[1:]:
            try:
                print("read", read_volume(path).GetDimension())
            except InputError as error:
                print("refused", error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script), *paths], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == len(paths) and {line.split()[0] for line in lines} == {"read", "refused"}


def test_standard_error_works_after_reading(tmp_path, capfd):
    refusal(tmp_path / "nothing.nrrd")
    (tmp_path / "cut.mha").write_bytes(b"ObjectType = Image\nNDims = 3\n")
    refusal(tmp_path / "cut.mha")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
    assert sitk.ProcessObject.GetGlobalWarningDisplay()


def test_a_compressed_file_of_several_megabytes_is_whole(tmp_path):
    path = tmp_path / "large.nii.gz"
    sitk.WriteImage(sitk.Image(160, 150, 70, sitk.sitkUInt16), str(path))  # 3.4 MB that compress to little
    assert read_volume(path).GetSize() == (160, 150, 70)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-2]))
    assert "it decompresses to 3,360,350 of 3,360,352 bytes" in refusal(path)
