"""What the choices of the panel mean for the engine, and the panel's words: to the letter."""

import sys

import pytest

from bench.fixtures import bench  # noqa: F401
from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.registration import Alignment

pytest.importorskip("slicer", reason="needs slicer-core")


@pytest.fixture
def state(bench):  # noqa: F811
    from MMIFAminLib.module import state

    return state


@pytest.fixture
def parameters(bench):  # noqa: F811
    return bench.module.MMIFAminLogic().getParameterNode()


def test_a_new_scene_is_fused_in_colours_at_full_weight_along_axial_slices(state, parameters):
    p = parameters
    assert (p.makeColor, p.makeGrey, p.sideBySide, p.compared, p.plotted) == (True, False, False, False, False)
    assert (p.functionalWeight, p.opacity, p.layoutBefore, p.metric, p.preset) == (1.0, 1.0, 0, "Qabf", "")
    assert (p.anatomicalLow, p.anatomicalHigh, p.functionalLow, p.functionalHigh) == (0.0, 100.0, 0.0, 10.0)
    assert p.under is state.Source.ANATOMICAL and p.device is state.Device.AUTO and p.precision is state.Precision.AUTO
    assert state.options(p) == {"plane": "axial", "kind": "auto"} | dict.fromkeys(
        ("anatomical_window", "functional_window"), "auto"
    )


def test_custom_windows_are_their_limits_and_others_their_names(state, parameters):
    p = parameters
    p.plane = state.Plane.ACQUISITION
    p.anatomicalWindow, p.functionalWindow = state.AnatomicalWindow.CT_SOFT, state.FunctionalWindow.CUSTOM
    p.functionalLow, p.functionalHigh = 1.5, 7.5
    expected = {"plane": "acquisition", "anatomical_window": "ct-soft-tissue", "functional_window": (1.5, 7.5)}
    assert state.options(p) == expected | {"kind": "auto"}
    assert [choice.value for choice in state.FunctionalWindow][2:5] == ["0:5", "0:10", "0:20"]
    with pytest.raises(ValueError, match="1"):
        p.functionalWeight = 1.01
    with pytest.raises(ValueError, match="1"):
        p.anatomicalLow = -1.1e7


def test_the_colour_volume_is_shown_before_the_grey_one(state, parameters, bench):  # noqa: F811
    assert state.fused_node(parameters) is None
    parameters.fusedGrey = grey = bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "grey")
    assert state.fused_node(parameters) is grey
    parameters.fusedColor = color = bench.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colour")
    assert state.fused_node(parameters) is color


def test_colours_cannot_become_the_anatomical_volume(state, parameters, bench):  # noqa: F811
    assert state.why_not_swap(parameters) == "Choose an anatomical and a functional volume."
    parameters.functional = bench.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "painted")
    assert state.why_not_swap(parameters) == "'painted' is in colours, so it cannot be the anatomical volume."
    parameters.functional = bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "plain")
    assert state.why_not_swap(parameters) == ""
    parameters.functional, parameters.anatomical = None, parameters.functional
    assert state.why_not_swap(parameters) == ""


@pytest.mark.parametrize(
    "limits, role",
    [
        (("anatomical", 5.0, 5.0), "anatomical"),
        (("functional", 3.0, 2.9), "functional"),
        (("functional", 3.0, 3.1), ""),
    ],
)
def test_a_window_is_not_upside_down(state, parameters, bench, limits, role):  # noqa: F811
    parameters.anatomical, parameters.functional = bench.module.MMIFAminTest().pair()
    which, low, high = limits
    options = {"anatomical": state.AnatomicalWindow, "functional": state.FunctionalWindow}
    setattr(parameters, f"{which}Window", options[which].CUSTOM)
    setattr(parameters, f"{which}Low", low)
    setattr(parameters, f"{which}High", high)
    said = f"The lower end of the {role} window must be below its upper end (Advanced)." if role else ""
    assert state.why_not(parameters) == said


def test_what_this_computer_lacks_is_told_once_pytorch_is_there(state, monkeypatch):
    from MMIFAminLib.engine import execution

    def only(*usable):
        def choose(device):
            if device not in usable:
                raise InputError("not here")

        monkeypatch.setattr(execution, "choose_device", choose)

    only("auto", "cpu")
    assert state.unusable() == {
        state.Device.CUDA: "'GPU (CUDA)' needs a GPU that PyTorch can use; there is none here.",
        state.Device.MPS: "'GPU (Apple)' needs a GPU that PyTorch can use; there is none here.",
        state.Precision.FP16: "'16 bit (fp16, GPU)' needs a CUDA GPU; there is none here.",
    }
    only("auto", "cpu", "cuda")
    assert list(state.unusable()) == [state.Device.MPS]
    for module in ("torch", "MMIFAminLib.engine.execution"):
        with monkeypatch.context() as without:
            without.delitem(sys.modules, module)
            assert state.unusable() == {}


def test_fp16_is_for_cuda(state):
    said = "'16 bit (fp16, GPU)' is for CUDA GPUs: choose another precision (Advanced)."
    fp16, bf16 = state.Precision.FP16, state.Precision.BF16
    for device, expected in (("AUTO", ""), ("CUDA", ""), ("CPU", said), ("MPS", said)):
        assert state.why_not_compute(state.Device[device], fp16, {}) == expected, device
    lacking = {state.Device.MPS: "There is none."}
    said = "There is none. Choose Automatic (Advanced)."
    assert state.why_not_compute(state.Device.MPS, fp16, lacking) == said
    assert state.why_not_compute(state.Device.CPU, bf16, lacking) == ""


def test_bf16_is_not_for_apple_s_gpus(state):
    bf16, none = state.Precision.BF16, {state.Device.CUDA: "There is none."}
    said = "'16 bit (bf16)' is not checked on Apple's GPUs: choose another precision (Advanced)."
    assert state.why_not_compute(state.Device.MPS, bf16, {}) == said
    assert state.why_not_compute(state.Device.AUTO, bf16, none) == said  # a Mac
    assert state.why_not_compute(state.Device.AUTO, bf16, none | {state.Device.MPS: "There is none."}) == ""
    assert state.why_not_compute(state.Device.CPU, bf16, none) == ""


def test_buttons_say_what_they_do_next(state, parameters):
    plain = {
        "fuseButton": "Fuse",
        "fuseAllButton": "Fuse all",
        "registerButton": "Register first",
        "suvButton": "Show as SUV",
        "mipButton": "MIP and planes",
        "renderButton": "In three dimensions",
        "compareButton": "Side by side",
        "plotButton": "Plot along the slices",
    }
    assert state.texts(parameters, busy=False, registered=False, as_suv=False) == plain
    parameters.compared = True
    busy = {"fuseButton": "Cancel", "registerButton": "Undo registration", "compareButton": "Back to the former layout"}
    busy["fuseAllButton"] = "Cancel"
    assert state.texts(parameters, busy=True, registered=True, as_suv=True) == plain | busy | {"suvButton": "Undo SUV"}
    parameters.plotted = True
    assert state.texts(parameters, busy=False, registered=False, as_suv=False)["plotButton"] == "Back"


@pytest.mark.parametrize(
    "found, colour, words",
    [
        (Alignment(0.987, 0.4567, 1.2, True, "They fit."), "#2e9e4f", "Aligned, overlap 99%"),
        (Alignment(0.0, 0.0, 80.0, False, "They fit."), "#d98200", "No overlap"),
        (Alignment(0.5, 0.1, 12.6, False, "They fit."), "#d98200", "About 13 mm off"),
    ],
)
def test_the_alignment_in_words_and_a_mark(state, found, colour, words):
    text, detail = state.describe_alignment(found)
    assert text == f"<font color='{colour}'>\u25cf</font> {words}"
    assert detail == f"They fit. Mutual information {found.mutual_information:.3f}."


def test_a_fusion_in_a_line(state):
    report = {"device": "cpu", "precision": "fp32", "slices_per_second": 12.345, "warnings": ["Look at it."]}
    report["seconds"] = {"load": 0.5, "network": 2.25}
    assert state.describe(report) == "CPU, fp32, 12.3 slices/s, 2.8 s in all\nLook at it."
