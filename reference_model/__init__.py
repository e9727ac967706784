"""GPT-2 and its relatives in plain PyTorch: functions with the weights as arguments, to be read beside the paper.

Every public function has a file of its name; `from reference_model import gelu` gives the function.
Nothing here knows anything else of the project: the folder can be lifted out whole.
"""

from reference_model.adamw import adamw
from reference_model.adamw_8bit import adamw_8bit
from reference_model.alibi import alibi
from reference_model.attention import attention
from reference_model.block import block
from reference_model.checkpoint import checkpoint
from reference_model.clip_grad_norm import clip_grad_norm
from reference_model.config import (
    GPT2_LARGE,
    GPT2_MEDIUM,
    GPT2_SMALL,
    GPT2_XL,
    Config,
    LlamaConfig,
    llama_parameter_count,
    parameter_count,
)
from reference_model.fake_quantize import fake_quantize
from reference_model.gelu import gelu
from reference_model.generation import generation
from reference_model.gpt2 import gpt2, initialise
from reference_model.gradient_accumulation import gradient_accumulation
from reference_model.grouped_query_attention import grouped_query_attention
from reference_model.initialisation import initialisation
from reference_model.int8_linear import int8_linear
from reference_model.kv_cache import kv_cache
from reference_model.kv_cache_quantized import kv_cache_quantized
from reference_model.layer_norm import layer_norm
from reference_model.learned_positions import learned_positions
from reference_model.linear import linear
from reference_model.linear_attention import linear_attention
from reference_model.llama import initialise_llama, llama, llama_block
from reference_model.lm_loss import lm_loss
from reference_model.lora import lora, rslora
from reference_model.low_rank_attention import low_rank_attention
from reference_model.lr_schedule import lr_schedule
from reference_model.mlp import mlp
from reference_model.next_token_distribution import next_token_distribution
from reference_model.packed_attention import packed_attention
from reference_model.parameter_groups import parameter_groups
from reference_model.quantization import quantize_int8
from reference_model.quantization_schedule import quantization_schedule
from reference_model.quantize_4bit import quantize_4bit
from reference_model.quantize_model import quantize_model
from reference_model.rms_norm import rms_norm
from reference_model.rope import rope
from reference_model.scaled_dot_product_attention import scaled_dot_product_attention
from reference_model.sft_labels import sft_labels
from reference_model.sinusoidal_positions import sinusoidal_positions
from reference_model.sliding_window_attention import sliding_window_attention
from reference_model.softmax import softmax
from reference_model.state_space import state_space
from reference_model.swiglu import swiglu
from reference_model.token_embedding import token_embedding
from reference_model.tokenizer import GPT2_PATTERN, gpt2_ranks, tokenizer
from reference_model.trainer import trainer
from reference_model.weight_tying import weight_tying

__all__ = [
    "GPT2_LARGE",
    "GPT2_MEDIUM",
    "GPT2_PATTERN",
    "GPT2_SMALL",
    "GPT2_XL",
    "Config",
    "LlamaConfig",
    "adamw",
    "adamw_8bit",
    "alibi",
    "attention",
    "block",
    "checkpoint",
    "clip_grad_norm",
    "fake_quantize",
    "gelu",
    "generation",
    "gpt2",
    "gpt2_ranks",
    "gradient_accumulation",
    "grouped_query_attention",
    "initialisation",
    "initialise",
    "initialise_llama",
    "int8_linear",
    "kv_cache",
    "kv_cache_quantized",
    "layer_norm",
    "learned_positions",
    "linear",
    "linear_attention",
    "llama",
    "llama_block",
    "llama_parameter_count",
    "lm_loss",
    "lora",
    "low_rank_attention",
    "lr_schedule",
    "mlp",
    "next_token_distribution",
    "packed_attention",
    "parameter_count",
    "parameter_groups",
    "quantization_schedule",
    "quantize_4bit",
    "quantize_int8",
    "quantize_model",
    "rms_norm",
    "rope",
    "rslora",
    "scaled_dot_product_attention",
    "sft_labels",
    "sinusoidal_positions",
    "sliding_window_attention",
    "softmax",
    "state_space",
    "swiglu",
    "token_embedding",
    "tokenizer",
    "trainer",
    "weight_tying",
]
