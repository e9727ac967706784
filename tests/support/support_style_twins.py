"""The whole models among the styles, each beside the class of transformers that it must equal."""

from __future__ import annotations

from functools import partial

from support_published import MODEL, SMALL, STYLES, VOCABULARY, Published, rope

META = (
    ("tok_embeddings", "embed_tokens"),
    (r"attention\.w([qkvo])", r"self_attn.\1_proj"),
    (r"feed_forward\.w1", "mlp.gate_proj"),
    (r"feed_forward\.w2", "mlp.down_proj"),
    (r"feed_forward\.w3", "mlp.up_proj"),
    ("attention_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    (r"^output\.", "lm_head."),
    *MODEL,
)
BOOK = (
    ("tok_emb", "embed_tokens"),
    (r"att\.W_query", "self_attn.q_proj"),
    (r"att\.W_key", "self_attn.k_proj"),
    (r"att\.W_value", "self_attn.v_proj"),
    (r"att\.out_proj", "self_attn.o_proj"),
    (r"att\.([qk])_norm", r"self_attn.\1_norm"),
    (r"ff\.fc1", "mlp.gate_proj"),
    (r"ff\.fc2", "mlp.up_proj"),
    (r"ff\.fc3", "mlp.down_proj"),
    ("norm1", "input_layernorm"),
    ("norm2", "post_attention_layernorm"),
    ("final_norm", "norm"),
    (r"\.scale", ".weight"),
    ("trf_blocks", "layers"),
    ("out_head", "lm_head"),
    *MODEL,
)
LIT = (
    (r"transformer\.wte", "embed_tokens"),
    (r"transformer\.h", "layers"),
    (r"transformer\.ln_f", "norm"),
    (r"attn\.([qkv])_proj", r"self_attn.\1_proj"),
    (r"attn\.proj", "self_attn.o_proj"),
    (r"mlp\.fc_1", "mlp.gate_proj"),
    (r"mlp\.fc_2", "mlp.up_proj"),
    (r"mlp\.proj", "mlp.down_proj"),
    ("norm_1", "input_layernorm"),
    ("norm_2", "post_attention_layernorm"),
    *MODEL,
)
CHAT = (
    ("transformer.wte", "embed_tokens"),
    (r"attn\.c_([qkv])", r"self_attn.\1_proj"),
    (r"attn\.c_proj", "self_attn.o_proj"),
    (r"mlp\.c_fc", "mlp.fc1"),
    (r"mlp\.c_proj", "mlp.fc2"),
    (r"transformer\.h", "layers"),
    *MODEL,
)
LECTURE = (
    ("embeddings", "embed_tokens"),
    ("llama_blocks", "layers"),
    ("rms_1", "input_layernorm"),
    ("rms_2", "post_attention_layernorm"),
    (r"attention\.w_([qkvo])", r"self_attn.\1_proj"),
    (r"feedforward\.(\w+)", r"mlp.\1_proj"),
    (r"^linear\.", "lm_head."),
    (r"\.scale", ".weight"),
    *MODEL,
)
COURSE = (
    ("token_embeddings", "embed_tokens"),
    ("ln1", "input_layernorm"),
    ("ln2", "post_attention_layernorm"),
    ("ln_final", "norm"),
    (r"(?<!self_)attn\.", "self_attn."),
    ("output_proj", "o_proj"),
    (r"ffn\.w1", "mlp.gate_proj"),
    (r"ffn\.w2", "mlp.down_proj"),
    (r"ffn\.w3", "mlp.up_proj"),
    *MODEL,
)
GPT = (
    (r"^(tok_emb|token_emb|tok)\.", "wte."),
    (r"^(pos_emb|pos)\.", "wpe."),
    (r"^(blocks|layers)\.", "h."),
    (r"(ln1|norm1|n1)\.", "ln_1."),
    (r"(ln2|norm2|n2)\.", "ln_2."),
    (r"^norm\.", "ln_f."),
    (r"attn\.(to_qkv|qkv_proj|qkv)", "attn.c_attn"),
    (r"attn\.(to_out|out_proj|out)", "attn.c_proj"),
    (r"(mlp|ff)\.0", "mlp.c_fc"),
    (r"(mlp|ff)\.2", "mlp.c_proj"),
    (r"(h\.\d+)\.up\.", r"\1.mlp.c_fc."),
    (r"(h\.\d+)\.down\.", r"\1.mlp.c_proj."),
    (r"^head\.", "lm_head."),
    (r"^transformer\.", ""),
    (r"^(?!lm_head)", "transformer."),
)
LLAMA = partial(
    Published, folder=STYLES, neighbours=r"self_attn\.[qk]_proj"
)  # pairs of neighbours are rotated, where transformers rotates halves
HALVES = partial(Published, folder=STYLES)
META_SIZES = {"dim": 16, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "vocab_size": VOCABULARY}
BOOK_SIZES = {
    "vocab_size": VOCABULARY,
    "context_length": 16,
    "emb_dim": 16,
    "n_heads": 4,
    "n_layers": 2,
    "hidden_dim": 24,
    "n_kv_groups": 2,
    "rope_base": 10000.0,
    "dtype": None,
}
LLAMA_TWIN = ("LlamaConfig", "LlamaForCausalLM", SMALL(rms_norm_eps=1e-5, rope_parameters=rope()))
MULTI_HEAD = ("LlamaConfig", "LlamaForCausalLM", SMALL(kv=4, rms_norm_eps=1e-6, rope_parameters=rope()))
GPT_SIZES = {"vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 4}


def gpt2(model: str, config: str = "", tied: bool = True, **sizes: object) -> Published:
    """A GPT-2 whose matrices are [out, in]."""
    twin = ("GPT2Config", "GPT2LMHeadModel", {**GPT_SIZES, "tie_word_embeddings": tied})
    return Published(model, config, dict(sizes), twin, GPT, r"c_(attn|fc|proj)\.weight", folder=STYLES)


TWINS: dict[str, Published] = {
    "llama_meta": LLAMA(
        "Transformer",
        "ModelArgs",
        {**META_SIZES, "multiple_of": 1, "max_batch_size": 2, "max_seq_len": 16},
        ("LlamaConfig", "LlamaForCausalLM", SMALL(hidden=42, rms_norm_eps=1e-5, rope_parameters=rope())),
        META,
    ),
    "llama_single_file": LLAMA(
        "Transformer",
        "ModelArgs",
        {**META_SIZES, "hidden_dim": 24, "max_seq_len": 16},
        (*LLAMA_TWIN[:2], {**LLAMA_TWIN[2], "tie_word_embeddings": True}),
        META,
    ),
    "mistral_window": LLAMA(
        "Transformer",
        "ModelArgs",
        {**META_SIZES, "head_dim": 6, "hidden_dim": 24, "sliding_window": 3, "norm_eps": 1e-5},
        (
            "MistralConfig",
            "MistralForCausalLM",
            SMALL(head_dim=6, sliding_window=3, rms_norm_eps=1e-5, rope_parameters=rope()),
        ),
        META,
    ),
    "llama_transformers": HALVES(
        "TinyLlamaForCausalLM", "TinyLlamaConfig", SMALL(rms_norm_eps=1e-5), LLAMA_TWIN, ((r"^(?!lm_head|model)", ""),)
    ),
    "llama_book": HALVES("Llama3Model", "{}", BOOK_SIZES, LLAMA_TWIN, BOOK),
    "qwen_book": HALVES(
        "Qwen3Model",
        "{}",
        {**BOOK_SIZES, "head_dim": 6, "qk_norm": True},
        ("Qwen3Config", "Qwen3ForCausalLM", SMALL(head_dim=6, rope_parameters=rope())),
        BOOK,
    ),
    "llama_lit": HALVES(
        "GPT",
        "Config",
        {
            "block_size": 16,
            "vocab_size": VOCABULARY,
            "n_layer": 2,
            "n_head": 4,
            "n_embd": 16,
            "n_query_groups": 2,
            "intermediate_size": 24,
        },
        LLAMA_TWIN,
        LIT,
        fused="qkv",
    ),
    "llama_chat": HALVES(
        "GPT",
        "GPTConfig",
        {"sequence_len": 16, "vocab_size": VOCABULARY, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 16},
        (
            "NanoChatConfig",
            "NanoChatForCausalLM",
            SMALL(hidden=64, rms_norm_eps=2**-23, final_logit_softcapping=15.0, rope_parameters=rope()),
        ),
        CHAT,
    ),
    "llama_lecture": LLAMA(
        "Llama",
        "{}",
        {"vocab_size": VOCABULARY, "d_model": 16, "n_layers": 2, "n_heads": 4, "context_window": 16, "hidden": 24},
        MULTI_HEAD,
        LECTURE,
    ),
    "llama_course": LLAMA(
        "TransformerLM",
        "",
        {
            "vocab_size": VOCABULARY,
            "context_length": 16,
            "d_model": 16,
            "num_layers": 2,
            "num_heads": 4,
            "d_ff": 24,
            "rope_theta": 10000.0,
        },
        (*MULTI_HEAD[:2], {**MULTI_HEAD[2], "rms_norm_eps": 1e-5}),
        COURSE,
    ),
    "gemma_single_file": HALVES(
        "GemmaForCausalLM",
        "GemmaConfig",
        SMALL(kv=1, head_dim=6),
        ("GemmaConfig", "GemmaForCausalLM", SMALL(kv=1, head_dim=6, rope_parameters=rope())),
        (("embedder", "embed_tokens"), *MODEL),
        fused="qkv_proj",
    ),
    "loss_inside": gpt2("CausalLM", vocab_size=VOCABULARY, hidden_size=16, num_heads=4, num_layers=2, max_len=16),
    "several_models": gpt2(
        "Transformer",
        "ModelConfig",
        tied=False,
        vocab_size=VOCABULARY,
        block_size=16,
        n_layer=2,
        n_head=4,
        n_embd=16,
    ),
    "generate_method": gpt2(
        "LanguageModel", vocab_size=VOCABULARY, embed_dim=16, num_heads=4, num_layers=2, context_length=16
    ),
    "gpt_untied": gpt2("TinyGPT", tied=False, vocab=VOCABULARY, dim=16, heads=4, depth=2, ctx=16),
}
