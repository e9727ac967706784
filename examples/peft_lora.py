"""PEFT's LoRA and rank-stabilised LoRA, on one nn.Linear each.  pytest --impl=examples/peft_lora.py"""

from peft import LoraConfig, inject_adapter_in_model
from torch import nn


class lora(nn.Module):
    options = {"use_rslora": False, "target_modules": ["0"]}

    def __init__(self, weight, bias, rank, alpha, dropout=0.0):
        super().__init__()
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
        linear.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
        config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, **self.options)
        self.layer = inject_adapter_in_model(config, nn.Sequential(linear))[0]
        self.forward, self.merge, self.unmerge = self.layer.forward, self.layer.merge, self.layer.unmerge

    def load(self, a, b):
        self.layer.lora_A["default"].load_state_dict({"weight": a})
        self.layer.lora_B["default"].load_state_dict({"weight": b})


class rslora(lora):
    options = {"use_rslora": True, "target_modules": ["0"]}
