"""Known mistakes in tying the head to the embedding."""

from harness.core.mistake import KnownMistake
from reference_model.weight_tying import weight_tying

TIED = "self.head.weight = self.token_embedding.weight"
FORWARD = "return self.logits_with(ids, self.token_embedding.weight, self.head.weight)"
COUNT = "return sum(p.numel() for p in self.parameters())"
CAST = "self.to(getattr(torch, dtype))"
LOADED = "fresh.load_state_dict(torch.load(file))"
LOADED_ONCE = "fresh.load_state_dict(state, strict=False)"
COPIED = "self.become(copy.deepcopy(self))"
NEVER = ("never_tied", "head_is_a_copy")

MISTAKES = (
    # tying
    KnownMistake("never_tied", "The head has its own tensor. It is never tied to the embedding.", weight_tying.tie, TIED, "pass", looks_like=NEVER),
    KnownMistake("head_is_a_copy", "The head is a copy of the embedding (clone, or copy_): they are equal at first and differ after one step.",
        weight_tying.tie, TIED, "self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())", looks_like=NEVER, aliases=("copied_once",)),
    KnownMistake("only_data_shared", "Only .data is shared: there are two parameters with the same values, each with its own gradient and optimiser state.", weight_tying.tie, TIED, "self.head.weight.data = self.token_embedding.weight.data",
        looks_like=("wrapped_in_a_new_parameter",)),
    KnownMistake("wrapped_in_a_new_parameter", "The head wraps the embedding in a new nn.Parameter(embedding.weight): a second parameter in the same memory.",
        weight_tying.tie, TIED, "self.head.weight = nn.Parameter(self.token_embedding.weight.data)", looks_like=("only_data_shared",), aliases=("wrapped_anew",)),
    KnownMistake("embedding_replaced_after_tying", "The embedding is replaced after tying (re-created, or resized): the head keeps the old one.",
        weight_tying.tie, TIED,
        "self.head.weight = self.token_embedding.weight\nself.token_embedding = nn.Embedding.from_pretrained(self.head.weight.detach().clone(), freeze=False)",
        looks_like=NEVER),
    # gradients
    KnownMistake("head_detached", "The head uses the embedding detached: its part of the gradient is missing.",
        weight_tying.forward, FORWARD, "return self.logits_with(ids, self.token_embedding.weight, self.head.weight.detach())"),
    KnownMistake("embedding_detached", "The embedding lookup is detached: only the head's part of the gradient remains.",
        weight_tying.forward, FORWARD, "return self.logits_with(ids, self.token_embedding.weight.detach(), self.head.weight)"),
    KnownMistake("gradients_averaged", "The gradients of both uses are averaged. They must be summed.",
        weight_tying.forward, FORWARD,
        "half = (self.token_embedding.weight + self.token_embedding.weight.detach()) / 2\nreturn self.logits_with(ids, half, half)"),
    # counting
    KnownMistake("tied_parameter_counted_twice", "The tied tensor is counted once for each name. parameters() lists it once.",
        weight_tying.count, COUNT, "return sum(p.numel() for _, p in self.named_parameters(remove_duplicate=False))", aliases=("counted_twice",)),
    # moving, saving, copying
    KnownMistake("untied_by_cast", "Casting to another dtype creates two separate tensors. Tie them again, or use Module.to.",
        weight_tying.cast, CAST,
        "self.to(getattr(torch, dtype))\nself.head.weight = nn.Parameter(self.head.weight.detach().clone())", aliases=("cast_apart",)),
    KnownMistake("untied_by_load_assign", "load_state_dict(assign=True) assigns a separate tensor to each name: this silently unties them.",
        weight_tying.reload, LOADED, "fresh.load_state_dict(torch.load(file), assign=True)",
        seen_in=("TransformerLensOrg/TransformerLens#1725", "huggingface/accelerate#1204"), aliases=("assigned_when_loaded",)),
    KnownMistake("untied_by_empty_init", "The new model is created empty first: tensors tied in the constructor are separate once they are loaded.",
        weight_tying.reload, LOADED,
        "fresh.head.weight = nn.Parameter(torch.empty_like(fresh.head.weight))\nfresh.load_state_dict(torch.load(file))",
        seen_in=("NVIDIA-NeMo/Automodel#2511", "NVIDIA-NeMo/Automodel#2571"), looks_like=("untied_by_load_assign",), aliases=("untied_when_made_anew",)),
    KnownMistake("missing_head_stays_random", "If the file has no head, the head keeps its random initial values. Tie it, or copy the embedding.",
        weight_tying.reload_without_head, LOADED_ONCE,
        "fresh.head.weight = nn.Parameter(torch.randn_like(fresh.head.weight))\nfresh.load_state_dict(state, strict=False)",
        seen_in=("vllm-project/vllm#53020",), aliases=("head_drawn_where_the_file_has_none",)),
    KnownMistake("file_without_head_rejected", "A file without the head is rejected. A tied model stores the tensor only once.",
        weight_tying.reload_without_head, LOADED_ONCE, "fresh.load_state_dict(state, strict=True)", aliases=("file_without_head_refused",)),
    KnownMistake("untied_by_copy", "A copy is made module by module: embedding and head become separate tensors.",
        weight_tying.duplicate, COPIED, "for name, module in list(self.named_children()):\n    setattr(self, name, copy.deepcopy(module))", aliases=("copied_apart",)),
)
