"""Every choice of the module, in its parameter node (saved and restored with the scene), and what the panel says."""

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

from slicer import vtkMRMLColorNode, vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from ..errors import MMIFAminError

if TYPE_CHECKING:
    from ..volume.registration import Alignment


class Option(Enum):
    """A choice with the engine's word for it (`value`) and the words on the screen (`label`)."""

    _text: str

    def __new__(cls, value: str, text: str) -> "Option":
        member = object.__new__(cls)
        member._value_ = value
        member._text = text
        return member

    def label(self) -> str:
        return self._text


class Plane(Option):
    """The slices that the network sees."""

    AXIAL = "axial", _("Axial")
    CORONAL = "coronal", _("Coronal")
    SAGITTAL = "sagittal", _("Sagittal")
    ACQUISITION = "acquisition", _("As acquired")


class Kind(Option):
    """What the second volume is to the first; `volume.choices.KINDS`."""

    AUTO = "auto", _("Automatic")
    UPTAKE = "uptake", _("Uptake on anatomy")
    ANATOMICAL = "anatomical", _("Two anatomical volumes")


class AnatomicalWindow(Option):
    AUTO = "auto", _("Automatic")
    MR = "mr", _("MR percentiles")
    CT_BRAIN = "ct-brain", _("CT brain")
    CT_BONE = "ct-bone", _("CT bone")
    CT_SOFT = "ct-soft-tissue", _("CT soft tissue")
    CT_LUNG = "ct-lung", _("CT lung")
    CUSTOM = "custom", _("Custom")


class FunctionalWindow(Option):
    AUTO = "auto", _("Automatic")
    UPTAKE = "uptake", _("0 to maximum")
    SUV_5 = "0:5", _("SUV 0 to 5")
    SUV_10 = "0:10", _("SUV 0 to 10")
    SUV_20 = "0:20", _("SUV 0 to 20")
    MR = "mr", _("MR percentiles")
    CT_BRAIN = "ct-brain", _("CT brain")
    CT_BONE = "ct-bone", _("CT bone")
    CT_SOFT = "ct-soft-tissue", _("CT soft tissue")
    CT_LUNG = "ct-lung", _("CT lung")
    CUSTOM = "custom", _("Custom")


class Device(Option):
    AUTO = "auto", _("Automatic")
    CUDA = "cuda", _("GPU (CUDA)")
    MPS = "mps", _("GPU (Apple)")
    CPU = "cpu", _("CPU")


class Precision(Option):
    AUTO = "auto", _("Automatic")
    FP32 = "fp32", _("32 bit (fp32)")
    BF16 = "bf16", _("16 bit (bf16)")
    FP16 = "fp16", _("16 bit (fp16, GPU)")


class BatchOf(Option):
    """Where a batch finds its pairs."""

    SCENE = "scene", _("The scene")
    FOLDER = "folder", _("A folder")


class Source(Option):
    """The source under the fused volume in the slice views."""

    ANATOMICAL = "anatomical", _("Anatomical")
    FUNCTIONAL = "functional", _("Functional")


ROLES = ("anatomical", "functional", "second")
"""Of the sources, as the parameters are named; the second is a second anatomical volume."""

Unit = Annotated[float, WithinRange(0.0, 1.0)]
LARGEST = 1e7
Limit = Annotated[float, WithinRange(-LARGEST, LARGEST)]


@parameterNodeWrapper
class MMIFAminParameterNode:
    """The limits count where a window is custom; `layoutBefore` is the layout to go back to from a comparison or plot;
    `sideBySide` whether a new fused volume is shown beside its sources, `showWhileFusing` whether the views show slices
    as soon as they are fused; `batchFolder` and `batchResults` are paths, which count for a batch of a folder.

    A parameter without a widget comes first: VTK calls the first observer last, so that when a script changes the node
    the first parameter is read again only after the widgets were set.
    """

    metric: str = "Qabf"
    preset: str = ""
    sideBySide: bool = False
    anatomical: vtkMRMLScalarVolumeNode
    functional: vtkMRMLScalarVolumeNode
    second: vtkMRMLScalarVolumeNode
    makeColor: bool = True
    makeGrey: bool = False
    fusedColor: vtkMRMLVectorVolumeNode
    fusedGrey: vtkMRMLScalarVolumeNode

    kind: Kind = Kind.AUTO
    plane: Plane = Plane.AXIAL
    anatomicalWindow: AnatomicalWindow = AnatomicalWindow.AUTO
    anatomicalLow: Limit = 0.0
    anatomicalHigh: Limit = 100.0
    functionalWindow: FunctionalWindow = FunctionalWindow.AUTO
    functionalLow: Limit = 0.0
    functionalHigh: Limit = 10.0
    functionalWeight: Unit = 1.0
    secondWindow: AnatomicalWindow = AnatomicalWindow.AUTO
    secondLow: Limit = 0.0
    secondHigh: Limit = 100.0
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    showWhileFusing: bool = True

    under: Source = Source.ANATOMICAL
    opacity: Unit = 1.0
    colorTable: vtkMRMLColorNode
    legend: bool = True
    compared: bool = False
    plotted: bool = False
    mip: bool = False
    turning: bool = False
    spotCount: Annotated[int, WithinRange(1, 99)] = 10
    divider: Unit = 0.0
    alongVolume: bool = False
    rendered: bool = False
    layoutBefore: int = 0

    batchOf: BatchOf = BatchOf.SCENE
    batchFolder: str = ""
    batchResults: str = ""


def unusable() -> dict:
    """The devices and precisions that this computer does not have, each with the reason; {} until PyTorch is loaded."""
    if "torch" not in sys.modules or "MMIFAminLib.engine.execution" not in sys.modules:
        return {}
    from ..engine import execution

    found = {}
    for device in Device:
        try:
            execution.choose_device(device.value)
        except MMIFAminError:
            found[device] = _("'{choice}' needs a GPU that PyTorch can use; there is none here.").format(
                choice=device.label()
            )
    if Device.CUDA in found:
        found[Precision.FP16] = _("'{choice}' needs a CUDA GPU; there is none here.").format(
            choice=Precision.FP16.label()
        )
    return found


def why_not_compute(device: Device, precision: Precision, unusable: dict) -> str:
    """Why the chosen device and precision cannot compute, in the panel's words, or ""."""
    for choice in (device, precision):
        if choice in unusable:
            return _("{reason} Choose Automatic (Advanced).").format(reason=unusable[choice])
    apple = Device.CUDA in unusable and Device.MPS not in unusable  # what Automatic stands for
    if device in (Device.CPU, Device.MPS) and precision is Precision.FP16:
        said = _("'{choice}' is for CUDA GPUs: choose another precision (Advanced).")
    elif precision is Precision.BF16 and (device is Device.MPS or device is Device.AUTO and apple):
        said = _("'{choice}' is not checked on Apple's GPUs: choose another precision (Advanced).")
    else:
        return ""
    return said.format(choice=precision.label())


def window(parameters: MMIFAminParameterNode, role: str) -> "str | tuple[float, float]":
    """The intensity window chosen for "anatomical", "functional" or "second", as the engine takes it."""
    choice = getattr(parameters, f"{role}Window").value
    if choice != "custom":
        return choice
    return getattr(parameters, f"{role}Low"), getattr(parameters, f"{role}High")


def options(parameters: MMIFAminParameterNode) -> dict:
    """What of the choices makes another fused volume, as `VolumeFuser.fuse` takes it."""
    windows = {f"{role}_window": window(parameters, role) for role in roles(parameters)}
    return {"plane": parameters.plane.value, "kind": parameters.kind.value, **windows}


def roles(parameters: MMIFAminParameterNode) -> tuple[str, ...]:
    """The roles of the sources: two, or three where a second anatomical volume is chosen."""
    return ROLES if parameters.second is not None else ROLES[:2]


def sources(parameters: MMIFAminParameterNode) -> tuple:
    """The anatomical, the functional and, where one is chosen, the second anatomical volume."""
    return tuple(getattr(parameters, role) for role in roles(parameters))


def fused_node(parameters: MMIFAminParameterNode) -> "vtkMRMLScalarVolumeNode | None":
    """The fused volume to show: of the ticked outputs that are there the colour one first, else any that is, else None."""
    color, grey = parameters.fusedColor, parameters.fusedGrey
    return (parameters.makeColor and color) or (parameters.makeGrey and grey) or color or grey


def in_own_layout(parameters: MMIFAminParameterNode) -> bool:
    """Whether the layout is one of the module's: side by side, with a chart, or with the MIP."""
    return parameters.compared or parameters.plotted or parameters.mip


def why_not_pair(parameters: MMIFAminParameterNode) -> str:
    """What is wrong with the choice of the two sources, in a sentence that says what to do, or ""."""
    anatomical, functional = parameters.anatomical, parameters.functional
    if anatomical is None and functional is None:
        return _("Choose an anatomical and a functional volume.")
    if anatomical is None:
        return _("Choose an anatomical volume (MR or CT).")
    if functional is None:
        return _("Choose a functional volume (PET, SPECT or a second anatomical one).")
    from ..mrml import check_pair

    try:
        check_pair(anatomical, functional, parameters.second)
    except MMIFAminError as error:
        return str(error)
    return ""


def why_not_swap(parameters: MMIFAminParameterNode) -> str:
    """Why the two sources cannot change places, or ""."""
    anatomical, functional = parameters.anatomical, parameters.functional
    if anatomical is None and functional is None:
        return _("Choose an anatomical and a functional volume.")
    if functional is not None and functional.IsA("vtkMRMLVectorVolumeNode"):
        return _("'{name}' is in colours, so it cannot be the anatomical volume.").format(name=functional.GetName())
    return ""


def why_not(parameters: MMIFAminParameterNode) -> str:
    """Why these choices cannot be fused, in a sentence that says what to do, or ""."""
    reason = why_not_pair(parameters)
    if reason:
        return reason
    if not (parameters.makeColor or parameters.makeGrey):
        return _("Tick an output: colour, grey or both.")
    outputs = (parameters.makeColor and parameters.fusedColor, parameters.makeGrey and parameters.fusedGrey)
    if {node for node in outputs if node} & {*sources(parameters)}:
        return _("The output is one of the sources: choose another one or a new volume.")
    return why_not_windows(parameters)


def why_not_windows(parameters: MMIFAminParameterNode) -> str:
    """Why the windows that are set by hand cannot be used, or ""."""
    for role in roles(parameters):
        limits = window(parameters, role)
        if isinstance(limits, tuple) and not limits[0] < limits[1]:
            return {
                "anatomical": _("The lower end of the anatomical window must be below its upper end (Advanced)."),
                "functional": _("The lower end of the functional window must be below its upper end (Advanced)."),
                "second": _("The lower end of the second window must be below its upper end (Advanced)."),
            }[role]
    return ""


def texts(parameters: MMIFAminParameterNode, busy: bool, registered: bool, as_suv: bool) -> dict[str, str]:
    """What the buttons say that do one thing and then undo it."""
    back = _("Back to the former layout")
    return {
        "fuseButton": _("Cancel") if busy else _("Fuse"),
        "fuseAllButton": _("Cancel") if busy else _("Fuse all"),
        "registerButton": _("Undo registration") if registered else _("Register first"),
        "suvButton": _("Undo SUV") if as_suv else _("Show as SUV"),
        "compareButton": back if parameters.compared else _("Side by side"),
        "mipButton": back if parameters.mip else _("MIP and planes"),
        "renderButton": _("Hide the rendering") if parameters.rendered else _("In three dimensions"),
        "plotButton": _("Back") if parameters.plotted else _("Plot along the slices"),
    }


def describe_alignment(alignment: "Alignment", second: bool = False) -> tuple[str, str]:
    """An Alignment, that of the `second` anatomical volume perhaps, in a few words (rich text, with a green or amber mark),
    and in a sentence.
    """
    if alignment.aligned:
        text = _("Aligned, overlap {overlap:.0%}").format(overlap=alignment.overlap)
    elif alignment.overlap == 0.0:
        text = _("No overlap")
    else:
        text = _("About {distance:.0f} mm off").format(distance=alignment.displacement_mm)
    text = _("Second: {text}").format(text=text) if second else text
    mark = f"<font color='{'#2e9e4f' if alignment.aligned else '#d98200'}'>\u25cf</font>"
    detail = _("Mutual information {value:.3f}.").format(value=alignment.mutual_information)
    return f"{mark} {text}", f"{alignment.message} {detail}"


def describe(report: dict) -> str:
    """The report of a fusion in a line: device, precision, speed, time; and below it what there is to know."""
    seconds = sum(report["seconds"].values())
    speed = _("{speed:.3g} slices/s, {seconds:.1f} s in all").format(speed=report["slices_per_second"], seconds=seconds)
    return "\n".join([f"{report['device'].upper()}, {report['precision']}, {speed}", *report["warnings"]])
