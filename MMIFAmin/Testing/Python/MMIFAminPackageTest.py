"""What was built and installed is complete: the module, its panel, pictures and verified network weights."""

import hashlib
import json
import unittest
from pathlib import Path

import slicer


class MMIFAminPackageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.assertTrue(hasattr(slicer.modules, "mmifamin"), "the MMIFAmin module is not loaded")
        self.folder = Path(slicer.modules.mmifamin.path).parent

    def test_engine_comes_from_the_package(self) -> None:
        import MMIFAminLib

        self.assertEqual(Path(MMIFAminLib.__file__).resolve().parents[1], self.folder.resolve())
        self.assertRegex(MMIFAminLib.__version__, r"^\d+\.\d+")

    def test_resources_are_there(self) -> None:
        for name in ("UI/MMIFAmin.ui", "Icons/MMIFAmin.png", "requirements.txt"):
            self.assertTrue((self.folder / "Resources" / name).is_file(), name)

    def test_weights_are_those_of_their_cards(self) -> None:
        weights = sorted((self.folder / "Resources" / "Models").glob("*.safetensors"))
        self.assertTrue(weights, "no network weights are packaged")
        for path in weights:
            card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            self.assertEqual(hashlib.sha256(path.read_bytes()).hexdigest(), card["sha256"], path.name)


if __name__ == "__main__":
    unittest.main()
