"""The module without its panel: console use, colours, choices and their reasons, sample data, documented lines."""

import json
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from bench.fixtures import bench  # noqa: F401
from MMIFAminLib.errors import InputError
from MMIFAminLib.module.background import Job
from support.cohorts import make_cohort

slicer = pytest.importorskip("slicer", reason="needs slicer-core")
vtk = pytest.importorskip("vtk")


class TestConsole:
    def test_the_documented_lines_work(self, bench):  # noqa: F811
        anatomicalNode, functionalNode = bench.module.MMIFAminTest().pair()
        from MMIFAmin import MMIFAminLogic

        fused = MMIFAminLogic().fuse(anatomicalNode, functionalNode)
        assert fused.GetName() == "Head MR + Head PET fused grey"
        colored = MMIFAminLogic().fuse(
            anatomicalNode,
            functionalNode,
            rgb=True,
            colorTable="inferno",
            functionalWeight=0.5,
            anatomicalWindow="10:700",
        )
        assert "inferno" in colored.GetAttribute("MMIFAmin.parameters")

    def test_volumes_are_checked_and_registered_in_one_call(self, bench, monkeypatch):  # noqa: F811
        logic, (anatomical, functional) = bench.module.MMIFAminLogic(), bench.module.MMIFAminTest().pair()
        functional.SetOrigin(*(np.array(functional.GetOrigin()) + (0.0, 25.0, 0.0)))
        assert "mm off" in logic.checkAlignment(anatomical, functional).message
        transform = logic.register(anatomical, functional)
        assert transform.GetMatrixTransformToParent().GetElement(1, 3) == pytest.approx(-25.0, abs=4.0)
        assert logic.checkAlignment(anatomical, functional).aligned
        monkeypatch.setattr("MMIFAminLib.volume.registration.register_rigid", lambda *_, **__: astray)
        astray = sitk.Euler3DTransform()
        astray.SetTranslation((0.0, 25.0, 0.0))
        with pytest.raises(InputError, match="'Head PET' seemed aligned"):
            logic.register(anatomical, functional)
        assert functional.GetParentTransformNode() is transform
        logic.undoRegistration(functional)
        assert functional.GetParentTransformNode() is None

    def test_weights_are_loaded_once_for_all_logics(self, bench):  # noqa: F811
        assert bench.module.MMIFAminLogic().fuser() is bench.module.MMIFAminLogic().fuser()

    def test_it_needs_no_panel_and_no_views(self, bench):  # noqa: F811
        bench.app._views.close()
        bench.app._views = None
        anatomical, functional = bench.module.MMIFAminTest().pair()
        assert bench.module.MMIFAminLogic().fuse(anatomical, functional).GetImageData() is not None


def test_a_device_that_is_not_here_is_told_in_the_words_of_the_panel(bench):  # noqa: F811
    from MMIFAminLib.engine import execution
    from MMIFAminLib.module import state

    logic = bench.module.MMIFAminLogic()
    p = logic.getParameterNode()
    p.anatomical, p.functional = bench.module.MMIFAminTest().pair()
    p.device = state.Device.MPS
    try:
        execution.choose_device("mps")
    except InputError:
        work, _finish = logic.fusion(p)  # as before PyTorch was loaded
        with pytest.raises(InputError, match="'GPU .Apple.' needs a GPU .* Choose Automatic"):
            work(lambda fraction, text: True)


class TestColours:
    @pytest.fixture
    def parts(self, bench):  # noqa: F811
        """The logic and parameters with a pair chosen, to be fused in colours."""
        logic = bench.module.MMIFAminLogic()
        p = logic.getParameterNode()
        p.anatomical, p.functional = bench.module.MMIFAminTest().pair()
        p.colorTable, p.makeColor = logic.defaultColors(p.functional), True
        return logic, p

    def test_they_are_painted_by_the_worker(self, parts, monkeypatch):
        from MMIFAminLib.mrml import recoloring

        logic, p = parts
        painters, colorize = [], recoloring.colorize

        def watched(*arguments):
            painters.append(threading.current_thread())
            return colorize(*arguments)

        monkeypatch.setattr(recoloring, "colorize", watched)
        work, finish = logic.fusion(p)
        job = Job(work)
        assert job.wait(300)
        report = finish(job.result())
        assert list(report["seconds"])[:2] == ["load", "check"], "the time told is all that was waited"
        assert np.ptp(slicer.util.arrayFromVolume(p.fusedColor).astype(int), axis=-1).max() > 100
        assert painters and threading.main_thread() not in painters

    def test_those_chosen_during_the_fusion_are_shown(self, bench, parts):  # noqa: F811
        logic, p = parts
        work, finish = logic.fusion(p)
        result = work(lambda fraction, text: True)
        p.colorTable = bench.scene.GetNodeByID("vtkMRMLColorTableNodeRainbow")
        p.functionalWeight = 0.5
        finish(result)
        shown = slicer.util.arrayFromVolume(p.fusedColor).copy()
        assert "Rainbow" in p.fusedColor.GetAttribute("MMIFAmin.parameters")
        work, finish = logic.fusion(p)
        finish(work(lambda fraction, text: True))
        assert np.array_equal(slicer.util.arrayFromVolume(p.fusedColor), shown)


class TestLoading:
    def test_opening_the_module_imports_nothing_heavy(self):
        code = """
            import sys, types
            sys.path.insert(0, sys.argv[1])
            import slicer, numpy
            from bench.application import Bench
            before = set(sys.modules)
            bench = Bench()
            bench.scene.SetCacheManager(slicer.vtkCacheManager())
            sys.modules["SampleData"] = types.SimpleNamespace(SampleDataLogic=types.SimpleNamespace(
                registerCustomSampleDataSource=lambda **source: None
            ))
            bench.app.startup[0]()
            bench.open()
            print(*sorted({name.split(".")[0] for name in set(sys.modules) - before}))
            bench.close()
        """
        run = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(Path(__file__).parents[1])],
            capture_output=True,
            text=True,
        )
        loaded = set(run.stdout.split())
        assert {"MMIFAmin", "MMIFAminLib"} <= loaded, run.stderr
        assert not loaded & {"torch", "monai", "SimpleITK", "scipy", "matplotlib", "PIL", "safetensors"}

    def test_the_module_introduces_itself(self, bench):  # noqa: F811
        record = bench.record
        assert record.title and record.categories and record.contributors and record.acknowledgementText
        assert "https://" in record.helpText and "esearch use only" in record.helpText
        assert bench.app.startup  # sample data are offered once the application has started


class TestChoices:
    @pytest.fixture
    def parameters(self, bench):  # noqa: F811
        return bench.module.MMIFAminLogic().getParameterNode()

    def test_every_reason_says_what_to_do(self, bench, parameters):  # noqa: F811
        from MMIFAminLib.module import state

        anatomical, functional = bench.module.MMIFAminTest().pair()
        seen = []

        def why(**choices):
            for name, value in choices.items():
                setattr(parameters, name, value)
            seen.append(state.why_not(parameters))
            return seen[-1]

        assert "anatomical and a functional" in why()
        assert "MR or CT" in why(functional=functional)
        assert "PET, SPECT" in why(functional=None, anatomical=anatomical)
        assert "'Head MR' is chosen twice" in why(functional=anatomical)
        assert why(functional=functional) == ""
        assert "Tick" in why(makeColor=False)
        assert "one of the sources" in why(makeGrey=True, fusedGrey=functional)
        assert why(fusedGrey=None) == ""
        colored = bench.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "PET in colours")
        colored.SetAndObserveImageData(functional.GetImageData())
        assert "one of the sources" in why(functional=colored, makeColor=True, fusedColor=colored)
        assert why(functional=functional, fusedColor=None) == ""
        custom = dict(functionalWindow=state.FunctionalWindow.CUSTOM, functionalLow=4.0)
        assert "functional window" in why(**custom, functionalHigh=4.0)
        assert why(functionalHigh=4.1) == ""
        empty = bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bare")
        assert "'bare' holds no voxels" in why(functional=empty)
        assert all(text.endswith((".", ")")) or text == "" or ":" in text for text in seen)

    def test_the_engine_knows_every_choice(self, parameters):
        from MMIFAminLib.engine import execution
        from MMIFAminLib.module import state
        from MMIFAminLib.volume import geometry, intensity

        ramp = np.linspace(0.0, 20.0, 1000).reshape(10, 10, 10)
        assert {plane.value for plane in state.Plane} == set(geometry.PLANES)
        for option, role in ((state.AnatomicalWindow, "anatomical"), (state.FunctionalWindow, "functional")):
            for choice in option:
                if choice.value != "custom":
                    window = intensity.choose_window(ramp, choice.value, role=role, name="ramp")
                    assert window.low < window.high
        assert {p.value for p in state.Precision} == {"auto", *execution.PRECISIONS}
        for device in state.Device:
            try:
                assert execution.choose_device(device.value) in ("cpu", "cuda", "mps")
            except InputError as error:
                assert {state.Device.CUDA: "CUDA", state.Device.MPS: "Apple"}[device] in str(error)

    def test_labels_are_distinct_words(self, bench):  # noqa: F811
        from MMIFAminLib.module import state

        for option in (
            state.Kind,
            state.Plane,
            state.AnatomicalWindow,
            state.FunctionalWindow,
            state.Device,
            state.Precision,
        ):
            labels = [choice.label() for choice in option]
            assert len(set(labels)) == len(labels) and all(labels)


def console_blocks(repository):
    """The code on the page of the console; the last of it is the batch."""
    text = (repository / "docs" / "console.md").read_text(encoding="utf-8")
    return [block.split("```")[0] for block in text.split("```python\n")[1:]]


class TestDocumentation:
    def test_the_lines_of_the_console_page_run(self, bench, repository, tmp_path, monkeypatch):  # noqa: F811
        from bench.database import load_pet
        from MMIFAminLib.module import logic, sample, selftest_base

        small = selftest_base.small_pair(sample.SAMPLES["MMIFAminHead"])
        monkeypatch.setattr(sample, "build_pair", lambda chosen: small)
        monkeypatch.setattr(slicer.util, "loadVolume", bench.load_volume)
        monkeypatch.setitem(logic._fusers, ("cpu", "fp32"), logic._fusers["auto", "auto"])
        load_pet(tmp_path / "pet")
        *blocks, _ = console_blocks(repository)
        names, colors = {"slicer": slicer}, []
        for block in blocks:
            exec(compile(block, "console.md", "exec"), names)
            if "coloredNode" in names:
                told = json.loads(names["coloredNode"].GetAttribute("MMIFAmin.parameters"))
                colors.append(told["color_table"])
        assert names["coloredNode"].GetClassName() == "vtkMRMLVectorVolumeNode"
        assert '"plane": "coronal"' in names["fusedNode"].GetAttribute("MMIFAmin.parameters")
        assert "PET-Rainbow2" in colors and colors[-1] == "PET-Heat", "a batch gives all its pairs the panel's colours"

    def test_the_batch_of_a_folder_runs(self, bench, repository, tmp_path):  # noqa: F811
        (tmp_path / "studies").mkdir()
        make_cohort(tmp_path / "studies", 2)
        names = {"logic": bench.module.MMIFAminLogic()}
        exec(compile(console_blocks(repository)[-1].replace("/data/", f"{tmp_path}/"), "console.md", "exec"), names)
        assert [names["table"].GetCellText(row, 1) for row in range(2)] == ["fused", "fused"]
        assert (tmp_path / "fused" / "pet001" / "fused.nrrd").exists()
