"""minBERT: BERT by hand. Text to vectors; knows nothing of tasks."""

from minbert.bert import BertLayer, BertModel
from minbert.config import BertConfig
from minbert.files import MinbertError
from minbert.tokenizer import BertTokenizer

__all__ = ["BertConfig", "BertLayer", "BertModel", "BertTokenizer", "MinbertError"]
__version__ = "0.1.0"
