"""Objectives that predict the words of a text they have altered: masked and prefix language modelling, deshuffling.

Masked language modelling is Devlin et al. 2019 (section 3.1, appendix A.2). Unlike Google's code: a word is masked anew
in every pass, and what replaces it at random is never a special token. The other two are Raffel et al. 2020 (sections
3.2 and 3.3.1), who train a decoder with them; here the encoder's own vocabulary head predicts. A course report tried both
and found no gain.
"""

# B batch, T tokens, D hidden, V vocabulary, W ordinary words, N predicted tokens, 1 broadcast

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minbert.files import MinbertError
from minbert.lm_head import VocabularyHead
from minbert.tensor_names import translate
from minbert.tokenizer import BertTokenizer
from minbert.weights import load_vocabulary_head, read_folder
from multitask.batches import BatchStream
from multitask.data import Batch, Encoding, Example, Tokens, join_parts, make_generator, pad
from multitask.model import MultitaskBert
from multitask.recipe import PretrainingRecipe
from multitask.targets import at_least_float32

IGNORED = -100  # the label of a token that is not to be predicted
TEXT = Encoding("single")


# Exercise 11.1: masked language model
def mask_tokens(ids_BT: Tensor, is_word_BT: Tensor, first_BT: Tensor, rate: float, count_B1: Tensor | None, mask_id: int,
                ordinary_W: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(altered_BT, labels_BT): ids to read, and at the chosen tokens the ids to predict, elsewhere IGNORED.

    Steps: draw a number in [0, 1) for each token that `is_word`, and give it to all pieces of a word, whose first is at
    `first_BT`; choose the numbers below `rate`, or where there is `count_B1` so many smallest ones (a word as a whole,
    even where that is more); of the chosen tokens 80% become [MASK], 10% any of `ordinary_W`, 10% stay as they are.
    """
    number_BT = torch.rand(ids_BT.shape, generator=generator).masked_fill(~is_word_BT, 1.0).gather(1, first_BT)
    if count_B1 is None:
        chosen_BT = number_BT < rate
    else:
        rank_BT = number_BT.argsort(dim=1, stable=True).argsort(dim=1)
        chosen_BT = (rank_BT < count_B1).gather(1, first_BT)
    chosen_BT = chosen_BT & is_word_BT
    lot_BT = torch.rand(ids_BT.shape, generator=generator)
    random_BT = ordinary_W[torch.randint(len(ordinary_W), ids_BT.shape, generator=generator)]
    altered_BT = ids_BT.masked_fill(chosen_BT & (lot_BT < 0.8), mask_id)
    altered_BT = torch.where(chosen_BT & (lot_BT >= 0.9), random_BT, altered_BT)
    return altered_BT, ids_BT.masked_fill(~chosen_BT, IGNORED)


# Exercise 11.4: deshuffling
def shuffle_words(ids_BT: Tensor, is_word_BT: Tensor, generator: torch.Generator) -> Tensor:
    """shuffled_BT: each row's words in a random order, every other token where it was.

    Steps: list the words' places in their order, the others behind them; list them again with the words' places in
    random order; move what stands at each place of the second list to the same one of the first.
    """
    number_BT = torch.rand(ids_BT.shape, generator=generator)
    places_BT = (~is_word_BT).int().argsort(dim=1, stable=True)
    shuffled_places_BT = number_BT.masked_fill(~is_word_BT, 1.0).argsort(dim=1, stable=True)
    return ids_BT.scatter(1, places_BT, ids_BT.gather(1, shuffled_places_BT))


# Exercise 11.5: prefix mask
def prefix_mask(mask_BT: Tensor, prefix_B: Tensor) -> Tensor:
    """visible_BTT: True where the token of the second axis may see the one of the third.

    Steps: everyone sees the row's first `prefix_B` tokens; everyone sees itself and what stands before it; nobody sees padding.
    """
    place_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    visible_BTT = (place_T < prefix_B[:, None, None]) | (place_T <= place_T[:, None])
    return visible_BTT & mask_BT.bool()[:, None, :]


class WordPrediction:
    """The objective; `alter` and `visible` are what its kinds differ in.

    What a batch draws depends on (seed, name, pass, place in the pass) alone, so that the stream may be entered anywhere.
    Its labels_BT hold the ids to predict, elsewhere IGNORED.
    """

    shortest = 1  # words that a text must have

    def __init__(self, name: str, recipe: PretrainingRecipe, tokenizer: BertTokenizer, stream: BatchStream, note: str) -> None:
        self.name, self.recipe, self.stream, self.note = name, recipe, stream, note
        self.mask_id = tokenizer.mask_id
        special = (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id)
        self.ordinary_V = torch.ones(len(tokenizer), dtype=torch.bool)
        self.ordinary_V[list(special)] = False
        self.continues_V = torch.tensor([token.startswith("##") for token in tokenizer.vocabulary])

    def alter(self, tokens: Tokens, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(ids_BT to read, labels_BT to predict)."""
        raise NotImplementedError

    def visible(self, batch: Batch) -> Tensor | None:
        """Which tokens may be seen: by all (B, T), or by each token (B, T, T); None for all of them."""
        return batch.tokens.attention_mask

    def is_word(self, tokens: Tokens) -> Tensor:
        """is_word_BT: False for special tokens (the unknown one too) and for padding."""
        return self.ordinary_V[tokens.ids_BT] & tokens.mask_BT.bool()

    def next_batch(self) -> Batch:
        batch, stream = self.stream.next_batch(), self.stream
        generator = make_generator(stream.seed, self.name, stream.pass_number, stream.position)
        ids_BT, labels_BT = self.alter(batch.tokens, generator)
        return Batch(batch.ids, replace(batch.tokens, ids_BT=ids_BT), labels_BT)

    def output(self, model: MultitaskBert, batch: Batch) -> Tensor:
        """scores_NV of the tokens that are to be predicted, row by row."""
        # not model.embed: the parts of speech, where there are any, tell of the words that are to be predicted
        embedded_BTD = model.encoder.embed("", batch.tokens)
        hidden_BTD = model.encoder.encode("", embedded_BTD, self.visible(batch))
        hidden_ND = hidden_BTD[batch.labels != IGNORED]  # the vocabulary is wide: score no token in vain
        return model.pretraining[self.name](hidden_ND[None])[0]

    def loss(self, output_NV: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy of the predicted tokens; 0, with a gradient of 0, where there is none."""
        labels_N = batch.labels[batch.labels != IGNORED]
        return F.cross_entropy(at_least_float32(output_NV), labels_N, reduction="sum") / max(1, len(labels_N))


class MaskedLanguageModel(WordPrediction):
    """Words that are hidden or replaced are to be predicted from both sides."""

    def alter(self, tokens: Tokens, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        place_BT = torch.arange(tokens.ids_BT.shape[1]).expand(tokens.ids_BT.shape)
        first_BT = place_BT
        if self.recipe.whole_word:
            first_BT = place_BT.masked_fill(self.continues_V[tokens.ids_BT], 0).cummax(dim=1).values
        count_B1 = None
        if self.recipe.mask_choice == "count":  # as Google's: of a length that counts [CLS] and [SEP], and at least 1
            count_B1 = (self.recipe.mask_rate * tokens.mask_BT.sum(dim=1, keepdim=True)).round().clamp(min=1)
        return mask_tokens(tokens.ids_BT, self.is_word(tokens), first_BT, self.recipe.mask_rate, count_B1, self.mask_id,
                           self.ordinary_V.nonzero().squeeze(1), generator)


class Deshuffling(WordPrediction):
    """The words come in a random order; at every place (also of [CLS] and [SEP]) the token that stood there is predicted."""

    shortest = 2

    def alter(self, tokens: Tokens, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        shuffled_BT = shuffle_words(tokens.ids_BT, self.is_word(tokens), generator)
        return shuffled_BT, tokens.ids_BT.masked_fill(~tokens.mask_BT.bool(), IGNORED)


class PrefixLanguageModel(WordPrediction):
    """The text is cut between two of its words; each token of the rest, [SEP] as well, is predicted from all before it."""

    shortest = 2

    def alter(self, tokens: Tokens, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        length_B = tokens.mask_BT.sum(dim=1)
        share_B = torch.rand(len(length_B), generator=generator, dtype=torch.float64)
        prefix_B = 2 + (share_B * (length_B - 3)).long()  # [CLS] and at least one word, and at least one is left
        place_T = torch.arange(tokens.ids_BT.shape[1])
        predicts_BT = (place_T >= prefix_B[:, None] - 1) & (place_T < length_B[:, None] - 1)
        return tokens.ids_BT, tokens.ids_BT.roll(-1, dims=1).masked_fill(~predicts_BT, IGNORED)

    def visible(self, batch: Batch) -> Tensor:
        # the prefix's last token is the first that predicts
        prefix_B = (batch.labels != IGNORED).int().argmax(dim=1) + 1
        return prefix_mask(batch.tokens.mask_BT, prefix_B)


def each_text_once(examples: Mapping[str, Sequence[Example]]) -> list[Example]:
    """Every text of all tasks as an example of its own, without a label; no text twice, none without a word."""
    texts = {}
    for task in examples.values():
        for example in task:
            for side, (text, pieces) in enumerate(zip(example.texts, example.pieces, strict=True)):
                if pieces:
                    tags = example.tags and (example.tags[side],)
                    texts.setdefault(tuple(pieces), Example(example.id, (text,), None, (pieces,), tags))
    return list(texts.values())


def collate_texts(examples: Sequence[Example], tokenizer: BertTokenizer, encoding: Encoding) -> Batch:
    """The examples' only texts as one batch, without labels. Either all of the examples have tags, or none."""
    sequences = [join_parts(example.pieces, tokenizer.cls_id, tokenizer.sep_id, encoding) for example in examples]
    tags = [join_parts(example.tags, 0, 0, encoding)[0] for example in examples] if examples[0].tags else None
    return Batch(tuple(example.id for example in examples), pad(sequences, tokenizer.pad_id, encoding.token_types, tags), None)


def make_word_prediction(name: str, recipe: PretrainingRecipe, examples: Mapping[str, Sequence[Example]], model: MultitaskBert,
                         tokenizer: BertTokenizer, batch_size: int, seed: int, model_folder: Path | None) -> WordPrediction:
    """The objective on every text of the examples, its vocabulary head in model.pretraining.

    Raises MinbertError where no text is long enough.
    """
    kind = KINDS[name]
    encoding = replace(TEXT, max_length=recipe.max_length)
    texts = [example for example in each_text_once(examples) if encoding.length(example) - encoding.specials >= kind.shortest]
    if not texts:
        raise MinbertError(f"{name}: no text has {kind.shortest} word pieces or more", "a larger max_length, or other data")
    stream = BatchStream(texts, batch_size, seed, partial(collate_texts, tokenizer=tokenizer, encoding=encoding), name,
                         encoding.length)
    return kind(name, recipe, tokenizer, stream, add_vocabulary_head(name, model, model_folder))


def add_vocabulary_head(name: str, model: MultitaskBert, model_folder: Path | None) -> str:
    """Puts the vocabulary head of the checkpoint in the folder into model.pretraining[name], unless one is there already,
    or a random one where the checkpoint has none. Returns what a user should know about it, or an empty string."""
    if name in model.pretraining:  # on dev the objective goes by the head that is being trained
        return ""
    word = model.encoder.berts()[""].embeddings.word
    model.pretraining[name] = head = VocabularyHead(model.encoder.config, word).to(word.weight.device)
    tensors = read_folder(model_folder)[1] if model_folder else {}
    if not any(tensor.startswith("cls.predictions.") for tensor in tensors):
        return (f"{name}: the checkpoint has no vocabulary head, so its transformation starts at random; its decoder is the "
                "word embedding")
    stored = {ours: theirs for theirs, ours in translate(tensors).items()}["embeddings.word.weight"]
    load_vocabulary_head(head, tensors, nn.Embedding.from_pretrained(tensors[stored]))  # the model's may have been trained on
    return ""


KINDS = {"masked_lm": MaskedLanguageModel, "prefix_lm": PrefixLanguageModel, "deshuffling": Deshuffling}
