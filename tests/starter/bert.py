"""A solved CS224N starter, written for minBERT's own tests: the course's names and signatures, the plainest code."""

import math

import torch
import torch.nn.functional as F
from base_bert import BertPreTrainedModel
from torch import nn
from utils import get_extended_attention_mask


class BertSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.num_attention_heads = config.num_attention_heads
        self.attention_head_size = config.hidden_size // config.num_attention_heads
        self.all_head_size = self.num_attention_heads * self.attention_head_size
        self.query = nn.Linear(config.hidden_size, self.all_head_size)
        self.key = nn.Linear(config.hidden_size, self.all_head_size)
        self.value = nn.Linear(config.hidden_size, self.all_head_size)
        self.dropout = nn.Dropout(config.attention_probs_dropout_prob)

    def transform(self, x, linear_layer):
        """[B, L, D] -> [B, heads, L, head size]"""
        batch, length = x.shape[:2]
        projected = linear_layer(x).view(batch, length, self.num_attention_heads, self.attention_head_size)
        return projected.transpose(1, 2)

    def attention(self, key, query, value, attention_mask):
        """[B, heads, L, head size] three times, mask [B, 1, 1, L] of 0 and -10000 -> [B, L, D]"""
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.attention_head_size)
        scores = scores + attention_mask
        probabilities = self.dropout(F.softmax(scores, dim=-1))
        mixed = (probabilities @ value).transpose(1, 2)
        return mixed.reshape(query.shape[0], -1, self.all_head_size)

    def forward(self, hidden_states, attention_mask):
        key_layer = self.transform(hidden_states, self.key)
        value_layer = self.transform(hidden_states, self.value)
        query_layer = self.transform(hidden_states, self.query)
        return self.attention(key_layer, query_layer, value_layer, attention_mask)


class BertLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.self_attention = BertSelfAttention(config)
        self.attention_dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.attention_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention_dropout = nn.Dropout(config.hidden_dropout_prob)
        self.interm_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.interm_af = F.gelu
        self.out_dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.out_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.out_dropout = nn.Dropout(config.hidden_dropout_prob)

    def add_norm(self, input, output, dense_layer, dropout, ln_layer):
        return ln_layer(input + dropout(dense_layer(output)))

    def forward(self, hidden_states, attention_mask):
        mixed = self.self_attention(hidden_states, attention_mask)
        attended = self.add_norm(hidden_states, mixed, self.attention_dense, self.attention_dropout,
                                 self.attention_layer_norm)
        widened = self.interm_af(self.interm_dense(attended))
        return self.add_norm(attended, widened, self.out_dense, self.out_dropout, self.out_layer_norm)


class BertModel(BertPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.word_embedding = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.pos_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.tk_type_embedding = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.embed_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.embed_dropout = nn.Dropout(config.hidden_dropout_prob)
        self.register_buffer("position_ids", torch.arange(config.max_position_embeddings).unsqueeze(0))
        self.bert_layers = nn.ModuleList([BertLayer(config) for _ in range(config.num_hidden_layers)])
        self.pooler_dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.pooler_af = nn.Tanh()
        self.init_weights()

    def embed(self, input_ids):
        words = self.word_embedding(input_ids)
        positions = self.pos_embedding(self.position_ids[:, : input_ids.shape[1]])
        types = self.tk_type_embedding(torch.zeros_like(input_ids))  # given: the starter's type is always 0
        return self.embed_dropout(self.embed_layer_norm(words + positions + types))

    def encode(self, hidden_states, attention_mask):
        mask = get_extended_attention_mask(attention_mask, self.dtype)
        for layer in self.bert_layers:
            hidden_states = layer(hidden_states, mask)
        return hidden_states

    def forward(self, input_ids, attention_mask):
        hidden_states = self.encode(self.embed(input_ids=input_ids), attention_mask=attention_mask)
        pooled = self.pooler_af(self.pooler_dense(hidden_states[:, 0]))
        return {"last_hidden_state": hidden_states, "pooler_output": pooled}
