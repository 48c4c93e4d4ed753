"""AdamW by hand: Adam's step, and a weight decay that does not pass through Adam's averages.

Source: Kingma and Ba 2015 (algorithm 1), Loshchilov and Hutter 2019 (algorithm 2), Reddi et al. 2018.
Where we differ: the decay is lr * weight_decay, as in every library; in the paper it does not contain lr.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Real

import torch
from torch import Tensor, nn

FORMS = ("torch", "cs224n")
OPTIONS = ("lr", "betas", "eps", "weight_decay", "correct_bias", "amsgrad", "form")


# Exercise 5.1: AdamW
def update(
    parameter: Tensor, gradient: Tensor, moments: dict[str, Tensor], step: int, *, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, correct_bias: bool, amsgrad: bool, form: str,
) -> None:
    """Moves one parameter by one step, in place; all tensors have the parameter's shape.

    Steps: 1. average the gradient (m) and its square (v);
    2. with `amsgrad`, keep the largest v seen so far and go on with that one;
    3. unless `correct_bias` is False, divide out that both averages began at zero (`step` counts from 1);
    4. decay the weight and step along m / (sqrt(v) + eps). Here the forms differ: "torch" decays first and
    adds eps to the corrected root; "cs224n" adds it to the uncorrected root and decays the weight just moved.
    """
    # m_t = beta_1 m_{t-1} + (1 - beta_1) g_t
    # v_t = beta_2 v_{t-1} + (1 - beta_2) g_t^2
    beta_1, beta_2 = betas
    m = moments["exp_avg"].mul_(beta_1).add_(gradient, alpha=1 - beta_1)
    v = moments["exp_avg_sq"].mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
    if amsgrad:
        # v^max_t = max(v^max_{t-1}, v_t)
        v = torch.maximum(moments["max_exp_avg_sq"], v, out=moments["max_exp_avg_sq"])
    correction_1 = 1 - beta_1**step if correct_bias else 1.0
    correction_2 = 1 - beta_2**step if correct_bias else 1.0
    if form == "torch":
        # theta <- theta - lr lambda theta
        # (as in torch; float32 rounds the factor to a multiple of 6e-8, so lr lambda below 3e-8 is no decay)
        parameter.mul_(1 - lr * weight_decay)
        # theta <- theta - lr / (1 - beta_1^t) m_t / (sqrt(v_t) / sqrt(1 - beta_2^t) + eps)
        denominator = v.sqrt().div_(math.sqrt(correction_2)).add_(eps)
        parameter.addcdiv_(m, denominator, value=-lr / correction_1)
    else:
        # theta <- theta - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m_t / (sqrt(v_t) + eps)
        parameter.addcdiv_(m, v.sqrt().add_(eps), value=-lr * math.sqrt(correction_2) / correction_1)
        # theta <- theta - lr lambda theta
        parameter.add_(parameter, alpha=-lr * weight_decay)


class AdamW(torch.optim.Optimizer):
    """The optimizer; state_dicts go to and fro between it and torch's own AdamW.

    `form="torch"` gives the numbers of torch's AdamW, `form="cs224n"` those of the course's handout; `update` says how
    they differ. The course's eps acts as eps / sqrt(1 - beta_2^t) would in torch's form, 32 times eps at the first
    step; its own default is 1e-6: give `eps=1e-6` for exactly its numbers. `correct_bias=False` leaves step 3 of
    `update` out: with form="torch" that is Google's BERT optimizer without its clipping.

    Every option may differ between parameter groups. A parameter whose gradient is None is left alone entirely; one
    whose gradient is zero decays and moves on by momentum.

    With `fused` (the default) torch's own kernel does the work of `update` where it can: the same numbers up to
    rounding, in one pass over memory instead of ten. Set `optimizer.fused = False` to run the text above.

    Raises ValueError for an option out of range, RuntimeError for a gradient that is sparse or complex.
    """

    fused = True

    def __init__(
        self, params: Iterable, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, correct_bias: bool = True, amsgrad: bool = False,
        form: str = "torch",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"correct_bias": correct_bias, "amsgrad": amsgrad, "form": form})

    def add_param_group(self, param_group: dict) -> None:
        check_options({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict) -> None:
        # load_state_dict comes through here; a state of torch's AdamW knows neither correct_bias nor form.
        defaults = state.get("defaults") or self.defaults  # unpickling brings its own
        for group in state["param_groups"]:
            for name in ("correct_bias", "form"):
                group.setdefault(name, defaults[name])
            check_options(group)
        super().__setstate__(state)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Moves every parameter that has a gradient; returns the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [(group, [p for p in group["params"] if p.grad is not None]) for group in self.param_groups]
        for gradient in (parameter.grad for _, parameters in moving for parameter in parameters):
            if gradient.layout != torch.strided or gradient.is_complex():
                raise RuntimeError(f"AdamW takes dense real gradients, got one of shape {tuple(gradient.shape)} "
                                   f"that is {gradient.layout}, {gradient.dtype}")
        for group, parameters in moving:
            for parameter in parameters:
                state = self.state[parameter] = self.state[parameter] or first_state(parameter, group["amsgrad"])
                state["step"] += 1
            states = [self.state[parameter] for parameter in parameters]
            if self.fused and can_fuse(parameters, group):
                update_fused(parameters, states, group)
                continue
            options = {name: group[name] for name in OPTIONS}
            for parameter, state in zip(parameters, states, strict=True):
                update(parameter, parameter.grad, state, int(state["step"]), **options)
        return loss


def can_fuse(parameters: list[Tensor], group: dict) -> bool:
    """Whether torch's kernel knows this group's algorithm and tensors: one dtype, on one CPU or CUDA device."""
    tensors = [tensor for parameter in parameters for tensor in (parameter, parameter.grad)]
    kinds = {(tensor.dtype, tensor.device, tensor.is_contiguous()) for tensor in tensors}
    if group["form"] != "torch" or not group["correct_bias"] or len(kinds) != 1:
        return False
    dtype, device, is_contiguous = kinds.pop()
    return is_contiguous and dtype in (torch.float32, torch.float64) and device.type in ("cpu", "cuda")


def update_fused(parameters: list[Tensor], states: list[dict[str, Tensor]], group: dict) -> None:
    """`update` in torch's form for many parameters at once, by torch's fused kernel."""
    m, v = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
    largest_v = [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else []
    for state in states:
        state["step"] = state["step"].to(parameters[0].device)  # once: from the first step on it is there
    torch._fused_adamw_(
        parameters, [parameter.grad for parameter in parameters], m, v, largest_v, [state["step"] for state in states],
        lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1], weight_decay=group["weight_decay"], eps=group["eps"],
        amsgrad=group["amsgrad"], maximize=False)


def first_state(parameter: Tensor, amsgrad: bool) -> dict[str, Tensor]:
    """The averages before the first step, all zero, under the names torch gives them."""
    names = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * amsgrad
    return {"step": torch.tensor(0.0)} | {name: torch.zeros_like(parameter) for name in names}


def check_options(options: dict) -> None:
    """Raises ValueError naming the option, its value and the rule."""
    for name in ("lr", "eps", "weight_decay"):
        if not is_number(options[name]) or not 0 <= options[name] < math.inf:
            raise ValueError(f"AdamW: {name} {options[name]!r} is not a number of at least 0")
    betas = options["betas"]
    if not (isinstance(betas, (tuple, list)) and len(betas) == 2 and all(is_number(b) and 0 <= b < 1 for b in betas)):
        raise ValueError(f"AdamW: betas {betas!r} are not two numbers of at least 0 and below 1")
    if options["form"] not in FORMS:
        raise ValueError(f"AdamW: form {options['form']!r} is not one of {', '.join(map(repr, FORMS))}")
    # Two keys that only another optimizer's state_dict brings.
    for name, value in (("maximize", False), ("decoupled_weight_decay", True)):
        if options.get(name, value) != value:
            raise ValueError(f"AdamW: the state has {name}={options[name]!r}, which is another algorithm")


def is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def parameter_groups(model: nn.Module, weight_decay: float, decay_all: bool = False, *,
                     rate: Callable[[str], float] | None = None) -> list[dict]:
    """AdamW's groups: first what decays by `weight_decay`, then biases and LayerNorms, which do not decay.

    Each trainable parameter is in exactly one group, also one with two names; a group that would be empty is left
    out. `decay_all=True` is the course's way: one group, everything decays. `rate` gives the learning rate of a name (of
    a parameter with two, the first): both groups are then cut into one for each rate.

    Raises ValueError if nothing is trainable. Source: the list exclude_from_weight_decay of Google's BERT.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    exempt = {parameter for norm in norms for parameter in norm.parameters()}
    exempt |= {parameter for name, parameter in named if is_exempt(name)}
    first_names = {parameter: name for name, parameter in reversed(named)}
    trainable = dict.fromkeys(parameter for _, parameter in named if parameter.requires_grad)
    if not trainable:
        raise ValueError(f"no parameter is trainable: all {len(named)} are frozen (requires_grad=False)")
    decaying = [parameter for parameter in trainable if decay_all or parameter not in exempt]
    resting = [parameter for parameter in trainable if not decay_all and parameter in exempt]
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": resting, "weight_decay": 0.0}]
    if rate:
        groups = [part for group in groups for part in split_by_rate(group, first_names, rate)]
    return [group for group in groups if group["params"]]


def split_by_rate(group: dict, names: dict[Tensor, str], rate: Callable[[str], float]) -> list[dict]:
    by_rate: dict[float, list[Tensor]] = {}
    for parameter in group["params"]:
        by_rate.setdefault(rate(names[parameter]), []).append(parameter)
    return [group | {"params": parameters, "lr": lr} for lr, parameters in by_rate.items()]


def is_exempt(name: str) -> bool:
    """Whether the name is a bias's or a LayerNorm's, such as `LayerNorm.gamma` or `attention_norm.weight`."""
    *owners, last = name.split(".")
    in_norm = bool(owners) and owners[-1].lower().endswith("norm")
    return in_norm or last.endswith("bias") or last in ("gamma", "beta")
