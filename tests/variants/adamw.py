"""One step of AdamW written in four other ways, all correct: what a test of the exercise must accept."""

import math

import torch
from torch import Tensor


def corrected_averages(parameter: Tensor, gradient: Tensor, moments: dict[str, Tensor], step: int, *, lr, betas, eps,
                       weight_decay, correct_bias, amsgrad, form) -> None:
    """m-hat and v-hat as the paper writes them; new tensors each time."""
    moments["exp_avg"] = betas[0] * moments["exp_avg"] + (1 - betas[0]) * gradient
    moments["exp_avg_sq"] = betas[1] * moments["exp_avg_sq"] + (1 - betas[1]) * gradient**2
    v = moments["exp_avg_sq"]
    if amsgrad:
        v = moments["max_exp_avg_sq"] = torch.max(moments["max_exp_avg_sq"], v)
    c_1, c_2 = (1 - betas[0] ** step, 1 - betas[1] ** step) if correct_bias else (1, 1)
    m_hat, v_hat = moments["exp_avg"] / c_1, v / c_2
    if form == "torch":
        parameter.copy_(parameter - lr * weight_decay * parameter - lr * m_hat / (v_hat.sqrt() + eps))
    else:  # eps on the uncorrected root is eps / sqrt(c_2) on the corrected one
        parameter.sub_(lr * m_hat / (v_hat.sqrt() + eps / math.sqrt(c_2)))
        parameter.sub_(lr * weight_decay * parameter)


def number_by_number(parameter: Tensor, gradient: Tensor, moments: dict[str, Tensor], step: int, *, lr, betas, eps,
                     weight_decay, correct_bias, amsgrad, form) -> None:
    """Plain Python, one number after the other; all arithmetic is in float64."""
    names = [name for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if name in moments]
    flat = {name: moments[name].view(-1) for name in names}
    weights, slopes = parameter.view(-1), gradient.reshape(-1).tolist()
    c_1, c_2 = (1 - betas[0] ** step, 1 - betas[1] ** step) if correct_bias else (1, 1)
    for index, g in enumerate(slopes):
        m = betas[0] * flat["exp_avg"][index].item() + (1 - betas[0]) * g
        v = betas[1] * flat["exp_avg_sq"][index].item() + (1 - betas[1]) * g * g
        flat["exp_avg"][index], flat["exp_avg_sq"][index] = m, v
        if amsgrad:
            v = max(v, flat["max_exp_avg_sq"][index].item())
            flat["max_exp_avg_sq"][index] = v
        weight = weights[index].item()
        if form == "torch":
            weight = weight - lr * weight_decay * weight - lr * (m / c_1) / (math.sqrt(v / c_2) + eps)
        else:
            weight = (weight - lr * math.sqrt(c_2) / c_1 * m / (math.sqrt(v) + eps)) * (1 - lr * weight_decay)
        weights[index] = weight


def many_at_once(parameter: Tensor, gradient: Tensor, moments: dict[str, Tensor], step: int, *, lr, betas, eps,
                 weight_decay, correct_bias, amsgrad, form) -> None:
    """torch's operations on lists of tensors (here of one)."""
    m, v = [moments["exp_avg"]], [moments["exp_avg_sq"]]
    torch._foreach_lerp_(m, [gradient], 1 - betas[0])
    torch._foreach_mul_(v, betas[1])
    torch._foreach_addcmul_(v, [gradient], [gradient], 1 - betas[1])
    if amsgrad:
        torch._foreach_maximum_([moments["max_exp_avg_sq"]], v)
        v = [moments["max_exp_avg_sq"]]
    c_1, c_2 = (1 - betas[0] ** step, 1 - betas[1] ** step) if correct_bias else (1, 1)
    roots = torch._foreach_sqrt(v)
    torch._foreach_div_(roots, math.sqrt(c_2))
    torch._foreach_add_(roots, eps if form == "torch" else eps / math.sqrt(c_2))
    if form == "torch":
        torch._foreach_mul_([parameter], 1 - lr * weight_decay)
    torch._foreach_addcdiv_([parameter], m, roots, -lr / c_1)
    if form != "torch":
        torch._foreach_mul_([parameter], 1 - lr * weight_decay)


def in_float64(parameter: Tensor, gradient: Tensor, moments: dict[str, Tensor], step: int, *, lr, betas, eps,
               weight_decay, correct_bias, amsgrad, form) -> None:
    """The handout's efficient form for both: torch's eps becomes eps sqrt(c_2); kept averages are rounded once a step."""
    g = gradient.double()
    moments["exp_avg"].copy_(g + betas[0] * (moments["exp_avg"].double() - g))
    moments["exp_avg_sq"].copy_(g.square() + betas[1] * (moments["exp_avg_sq"].double() - g.square()))
    if amsgrad:
        moments["max_exp_avg_sq"].clamp_(min=moments["exp_avg_sq"])
    v = moments["max_exp_avg_sq" if amsgrad else "exp_avg_sq"].double()
    c_1, c_2 = (1 - math.pow(betas[0], step), 1 - math.pow(betas[1], step)) if correct_bias else (1.0, 1.0)
    alpha = lr * math.sqrt(c_2) / c_1
    theta, shrink = parameter.double(), 1 - lr * weight_decay
    move = alpha * moments["exp_avg"].double() / (v.sqrt() + (eps * math.sqrt(c_2) if form == "torch" else eps))
    parameter.copy_(theta * shrink - move if form == "torch" else (theta - move) * shrink)


PLACE = "optim.adamw."
VARIANTS = {
    "m-hat and v-hat": {"update": corrected_averages},
    "number by number": {"update": number_by_number},
    "lists of tensors": {"update": many_at_once},
    "in float64": {"update": in_float64},
}
