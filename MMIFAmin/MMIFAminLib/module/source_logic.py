"""What the module's logic does with the two sources before they are fused: looks at them, and aligns them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import InputError, MMIFAminError
from . import state, suv

if TYPE_CHECKING:
    from slicer import vtkMRMLLinearTransformNode, vtkMRMLScalarVolumeNode

    from ..engine.progress import Progress
    from ..files.suv import Suv
    from ..volume.registration import Alignment


class SourceLogic:
    """The part of `FusionLogic` that works on the sources."""

    def alignment(self, p: state.MMIFAminParameterNode) -> Callable[[Progress], tuple[Alignment, bool]]:
        """`work` that returns the Alignment of the chosen volumes, and whether it is that of the second anatomical one, which is
        told where that one alone is off. It raises why it cannot be known.
        """
        from .. import mrml
        from ..volume import registration

        try:
            source = mrml.snapshot(*state.sources(p))
        except MMIFAminError as error:
            reason = error

            def refuse(progress):
                raise reason

            return refuse
        images, names = _images(source)

        def work(progress):
            first = images[0]()
            others = zip(images[1:], names[1:])  # each against the first; the one that is off is told
            found = [registration.alignment_check(first, other(), names=(names[0], name)) for other, name in others]
            told = next((one for one in found if not one.aligned), found[0])
            return told, told is not found[0]

        return work

    def taken(self, p: state.MMIFAminParameterNode) -> Callable[[Progress], tuple]:
        """`work` that returns what a fusion would take the chosen volumes for (`report["taken_for"]`), and the names of
        those that look like label maps."""
        from .. import mrml

        source, options = mrml.snapshot(*state.sources(p)), state.options(p)
        return lambda progress: (mrml.taken_for(source, options), mrml.label_maps(source))

    def registration(self, p: state.MMIFAminParameterNode) -> tuple:
        """The parts `work`, `finish` of *Register first*; `finish` returns the transform nodes, that of the functional
        volume and, of three, that of the second anatomical one, and in a sentence which of them was left where it seemed
        aligned, because the registration led away from there, or ""."""
        from .. import mrml
        from ..volume import registration

        source, (_fixed, *nodes) = mrml.snapshot(*state.sources(p)), state.sources(p)
        images, names = _images(source)

        def work(progress):
            first, transforms = images[0](), []
            for number, (other, name) in enumerate(zip(images[1:], names[1:])):
                part = partial(_part, progress, number, len(nodes))
                both = {"names": (names[0], name)}
                found = registration.register_rigid(first, other(), part, **both)
                transforms.append(None if registration.leads_astray(first, other(), found, **both) else found)
            return transforms

        def finish(transforms):
            moved = [mrml.still_there(node) for node in nodes]  # all of them, before the first is moved
            found = [(node, transform) for node, transform in zip(moved, transforms) if transform is not None]
            left = [f"'{name}'" for name, transform in zip(names[1:], transforms) if transform is None]
            return [mrml.apply_registration(node, transform) for node, transform in found], _left(left)

        return work, finish

    def checkAlignment(
        self, anatomicalNode: vtkMRMLScalarVolumeNode, functionalNode: vtkMRMLScalarVolumeNode
    ) -> Alignment:
        """How two volumes lie to each other, as the panel tells it; nothing is moved. Raises MMIFAminError where that cannot be
        told.
        """
        from .. import mrml
        from ..volume import registration

        images, names = _images(mrml.snapshot(anatomicalNode, functionalNode))
        return registration.alignment_check(*(image() for image in images), names=names)

    def register(
        self, anatomicalNode: vtkMRMLScalarVolumeNode, functionalNode: vtkMRMLScalarVolumeNode
    ) -> vtkMRMLLinearTransformNode:
        """Put the functional volume under a transform node that moves it onto the anatomical one; returns that. Blocks until
        done; `undoRegistration` undoes it.

        Raises MMIFAminError, and moves nothing, where the two cannot be registered, or seemed aligned and the registration
        led away from there.
        """
        from .. import mrml
        from ..volume import registration

        images, names = _images(mrml.snapshot(anatomicalNode, functionalNode))
        first, second = (image() for image in images)
        transform = registration.register_rigid(first, second, names=names)
        if registration.leads_astray(first, second, transform, names=names):
            raise InputError(_left([f"'{names[1]}'"]))
        return mrml.apply_registration(functionalNode, transform)

    def registered(self, p: state.MMIFAminParameterNode) -> list[vtkMRMLScalarVolumeNode]:
        """The chosen sources that are under a registration of this module that can be undone."""
        return [node for node in state.sources(p)[1:] if self.isRegistered(node)]

    def isRegistered(self, node: vtkMRMLScalarVolumeNode | None) -> bool:
        """Whether the volume is under a registration of this module that can be undone."""
        parent = node.GetParentTransformNode() if node is not None else None
        return parent is not None and parent.GetAttribute("MMIFAmin.registration") is not None

    def undoRegistration(self, node: vtkMRMLScalarVolumeNode) -> None:
        """Have a volume lie where it lay before it was registered."""
        from .. import mrml

        mrml.undo_registration(node)

    def showAsSuv(self, functionalNode: vtkMRMLScalarVolumeNode) -> Suv:
        """Turn the voxels of a PET node from Slicer's DICOM database into SUV (body weight); returns the `Suv`, with the
        factor and what it comes from.

        Raises InputError, with what is missing or contradictory in the headers; the node is then as it was.
        """
        work, finish = self._suvOf(functionalNode)
        return finish(work(lambda fraction, text: True))

    def suv(self, p: state.MMIFAminParameterNode) -> tuple:
        """The parts `work`, `finish` of *Show as SUV*; a custom functional window goes along."""
        work, finish = self._suvOf(p.functional)

        def follow(found):
            result = finish(found)
            self._scaleWindow(p, result.factor)
            return result

        return work, follow

    def undoSuv(self, p: state.MMIFAminParameterNode) -> None:
        """Give the functional volume the values back that it had before *Show as SUV*."""
        from . import suv_values

        self._scaleWindow(p, 1 / suv_values.undo_suv(p.functional))

    def isShownAsSuv(self, functionalNode: vtkMRMLScalarVolumeNode | None) -> bool:
        """Whether the volume was turned into SUV by this module, which can be undone."""
        return functionalNode is not None and functionalNode.GetAttribute("MMIFAmin.suv") is not None

    def _suvOf(self, node: vtkMRMLScalarVolumeNode) -> tuple:
        paths = suv.header_paths(node)

        def work(progress):
            from ..files.suv import suv_factor

            headers = suv.read_headers(paths, progress)
            return headers, suv_factor(headers, suv.unit_of(headers, paths))

        def finish(found):
            from ..mrml.nodes import still_there
            from . import suv_values

            headers, result = found
            suv.check_slopes(still_there(node), headers)
            suv_values.show_as_suv(node, result)
            return result

        return work, finish

    @staticmethod
    def _scaleWindow(p: state.MMIFAminParameterNode, factor: float) -> None:
        limits = (p.functionalLow * factor, p.functionalHigh * factor)  # Bq/ml of a mouse are beyond those of the panel
        with slicer.util.NodeModify(p):  # of an automatic window, too: Custom begins with its limits
            p.functionalLow, p.functionalHigh = (min(max(one, -state.LARGEST), state.LARGEST) for one in limits)


def _left(names: list[str]) -> str:
    text = _("{names} seemed aligned, and the registration led away from there: not moved.")
    return text.format(names=_(" and ").join(names)) if names else ""


def _part(progress, number: int, count: int, fraction: float, text: str) -> bool | None:
    """`progress` of the `number`th of `count` steps alike."""
    return progress((number + fraction) / count, text)


def _images(source) -> tuple:
    """Functions that give the volumes of a snapshot as scalar images; their names."""
    return [volume.scalar_image for volume in source.sources], tuple(volume.name for volume in source.sources)
