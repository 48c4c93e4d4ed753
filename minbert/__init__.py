"""minBERT: BERT by hand. Text to vectors; knows nothing of tasks."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (said before anything is imported that an older Python does not have)
    raise SystemExit(f"minBERT needs Python 3.11 or newer, this is {sys.version.split()[0]}")

from minbert.bert import BertLayer, BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer

__all__ = ["BertConfig", "BertLayer", "BertModel", "BertTokenizer", "MinbertError"]
__version__ = "0.1.0"
