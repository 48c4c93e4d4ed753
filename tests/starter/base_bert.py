"""What every model of the starter starts from: how weights are drawn, and the dtype."""

from config import BertConfig
from torch import nn
from utils import get_parameter_dtype


class BertPreTrainedModel(nn.Module):
    config_class = BertConfig

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.name_or_path = config.name_or_path

    def init_weights(self):
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(mean=0.0, std=self.config.initializer_range)
        if isinstance(module, nn.LayerNorm):
            module.weight.data.fill_(1.0)
        if isinstance(module, (nn.Linear, nn.LayerNorm)):
            module.bias.data.zero_()

    @property
    def dtype(self):
        return get_parameter_dtype(self)
