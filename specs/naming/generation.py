"""How published code names the arguments of a function that generates text.

``generate(model, idx, max_new_tokens, context_size, temperature, top_k, eos_id)`` and methods of that name are called
by the names of their arguments, in any order. Names are compared without capitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specs.naming import names

MODELS = ("model", "lm", "net", "gpt", "transformer", "language_model", "m")
IDS = names(
    "ids idx input_ids prompt tokens start_ids prompt_ids inputs token_ids x prompts start_tokens context "
    "in_indices start"
)
NUMBER = names(
    "max_new_tokens n num_tokens n_tokens steps max_tokens num_new_tokens n_new_tokens new_tokens "
    "n_tokens_to_generate max_gen_len length num_tokens_to_generate max_tokens_generated gen_len"
)
TOTAL = ("max_returned_tokens", "max_length", "max_len", "total_len")
WINDOW = names(
    "context_size block_size context_length max_seq_len n_ctx max_seq_length context_window context_len context"
)
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature", "temp", "t"),
    "top_k": ("top_k", "topk", "k"),
    "top_p": ("top_p", "topp", "p", "nucleus_p"),
    "end_token": names("end_token eos_id eos_token_id eos_token eos end_id stop_token eot_token eos_idx end_token_id"),
}
FREE: Mapping[str, Any] = {"temperature": 1.0, "top_k": None, "top_p": None, "end_token": None}
SAMPLE = ("do_sample", "sample", "sampling")
