"""Makes tests/golden/tiny_bert.safetensors: a tiny random BERT with the reference library's outputs and gradients.

    python tests/make_golden.py [FOLDER]

Needs transformers. Float64 throughout, so that a test can ask for ten digits.
"""

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32,
         "max_position_embeddings": 24, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
SEED = 20


def make_tiny_bert() -> dict[str, torch.Tensor]:
    """The reference's weights ("weight."), inputs ("input."), outputs ("output.") and gradients ("gradient.")."""
    from transformers import BertConfig, BertForMaskedLM, BertModel

    torch.manual_seed(SEED)
    config = BertConfig(**SIZES, attn_implementation="eager", initializer_range=0.3, pad_token_id=0)
    masked = BertForMaskedLM(config).double().eval()
    model = BertModel(config, add_pooling_layer=True).double().eval()
    model.load_state_dict(masked.bert.state_dict(), strict=False)
    for name, parameter in [*model.named_parameters(), *masked.named_parameters()]:
        if "LayerNorm" in name or name.endswith("bias"):  # LayerNorm 1 and bias 0 would hide mistakes
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.3)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[0].normal_()  # a pretrained [PAD] is not zero
    masked.bert.load_state_dict(model.state_dict(), strict=False)
    ids_BT = torch.randint(5, SIZES["vocab_size"], (3, 9))
    lengths = torch.tensor([9, 5, 2])
    mask_BT = (torch.arange(9) < lengths[:, None]).long()
    ids_BT = ids_BT * mask_BT
    segment_BT = (torch.arange(9) >= torch.tensor([[4], [3], [1]])).long() * mask_BT
    outputs = model(ids_BT, mask_BT, segment_BT, output_hidden_states=True, output_attentions=True)
    # every real token and the pooler take part in the loss whose gradients are kept
    loss = (outputs.last_hidden_state * mask_BT[..., None]).pow(3).sum() + outputs.pooler_output.sin().sum()
    loss.backward()
    golden = {f"weight.{name}": tensor for name, tensor in masked.state_dict().items()}
    golden |= {f"weight.bert.{name}": tensor for name, tensor in model.state_dict().items()}
    golden |= {f"gradient.{name}": parameter.grad for name, parameter in model.named_parameters()}
    golden |= {"input.ids": ids_BT, "input.mask": mask_BT, "input.segment": segment_BT, "output.loss": loss}
    golden |= {f"output.hidden.{index}": tensor for index, tensor in enumerate(outputs.hidden_states)}
    golden |= {f"output.attention.{index}": tensor for index, tensor in enumerate(outputs.attentions)}
    golden["output.pooler"] = outputs.pooler_output
    golden["output.vocabulary"] = masked(ids_BT, mask_BT, segment_BT).logits
    return {name: tensor.detach().clone().contiguous() for name, tensor in golden.items()}


def main(folder: Path) -> None:
    import transformers

    facts = {"oracle": f"transformers {transformers.__version__}, torch {torch.__version__}", "seed": str(SEED),
             "script_sha256": hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}
    save_file(make_tiny_bert(), folder / "tiny_bert.safetensors", facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "golden")
