"""Less memory between forward and backward: what can be made again from what is kept anyway is not kept.

Of a layer autograd keeps the input of every matrix product. Two of these, a third of it all, are made of something else that it
keeps, by a cheap step: the wide vectors behind GELU, and the attention probabilities behind dropout. They are made a second time
in backward(), which takes one or two hundredths of a training step; the numbers are the same. On a GPU, where dropout is torch's
own, the first of the two alone.
"""

from collections.abc import Callable

from torch import Tensor
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.nn import functional as F

from minbert.dropout import Drop

Kept = tuple[Tensor, int] | Callable[[], Tensor]  # a tensor and how often it had been changed, or how to make it again


def making_again() -> saved_tensors_hooks:
    """A context: of what is computed in it autograd keeps less."""
    return saved_tensors_hooks(pack, unpack)


def pack(tensor: Tensor) -> Kept:
    """What is kept of a tensor that backward() will need."""
    whole = tensor if tensor._base is None else tensor._base  # a matrix product keeps a view in two or three dimensions
    is_as_made = whole.grad_fn and whole._version == 0 and whole.is_contiguous()
    make = find_maker(whole.grad_fn) if is_as_made else None
    if make is None:
        kept = tensor.detach()  # a node's own result, kept with its way back to the node, would hold both for ever
        return kept, kept._version
    layout = tensor.size(), tensor.stride(), tensor.storage_offset()
    return lambda: make().as_strided(*layout)


def find_maker(node: Node) -> Callable[[], Tensor] | None:
    """How to make the result of this node of autograd's graph again; None for all that costs too much."""
    if node.name() == "GeluBackward0":
        return lambda: F.gelu(node._saved_self, approximate=node._saved_approximate)
    before = node.next_functions[0][0] if node.next_functions else None
    if node.name() == "DropBackward" and before and before.name() == "SoftmaxBackward0":
        return lambda: Drop.forward(before._saved_result, *node.saved_tensors, node.factor)
    return None


def unpack(kept: Kept) -> Tensor:
    """Raises RuntimeError for a kept tensor that was changed in place since, as torch itself does where nobody unpacks. What is
    made again comes as it was before such a change."""
    if callable(kept):
        return kept()
    tensor, version = kept
    if tensor._version != version:
        raise RuntimeError(f"a tensor of shape {tuple(tensor.shape)} that backward() needs was modified by an inplace operation")
    return tensor
