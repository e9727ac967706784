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
NEVER = ("never_tied", "copied_once")

MISTAKES = (
    # tying
    KnownMistake("never_tied", "The head is a tensor of its own: nothing ties it to the embedding.", weight_tying.tie, TIED, "pass", looks_like=NEVER),
    KnownMistake("copied_once", "The head is a copy of the embedding (clone, or copy_): equal at first, and never again after a step.",
        weight_tying.tie, TIED, "self.head.weight = nn.Parameter(self.token_embedding.weight.detach().clone())", looks_like=NEVER),
    KnownMistake("only_data_shared", "Only .data is handed on: the values are shared, but there are two parameters, each with a gradient and an optimizer "
        "state of its own.", weight_tying.tie, TIED, "self.head.weight.data = self.token_embedding.weight.data",
        looks_like=("wrapped_anew",)),
    KnownMistake("wrapped_anew", "The embedding is wrapped in a Parameter of its own, nn.Parameter(embedding.weight): that is a second one in the same memory.",
        weight_tying.tie, TIED, "self.head.weight = nn.Parameter(self.token_embedding.weight.data)", looks_like=("only_data_shared",)),
    KnownMistake("embedding_replaced_after_tying", "The embedding is replaced after it was tied (made anew, or resized): the head keeps the old one.",
        weight_tying.tie, TIED,
        "self.head.weight = self.token_embedding.weight\nself.token_embedding = nn.Embedding.from_pretrained(self.head.weight.detach().clone(), freeze=False)",
        looks_like=NEVER),
    # gradients
    KnownMistake("head_detached", "The head reads the embedding detached: what it must learn there is lost.",
        weight_tying.forward, FORWARD, "return self.logits_with(ids, self.token_embedding.weight, self.head.weight.detach())"),
    KnownMistake("embedding_detached", "The embedding is looked up detached: it learns as head alone.",
        weight_tying.forward, FORWARD, "return self.logits_with(ids, self.token_embedding.weight.detach(), self.head.weight)"),
    KnownMistake("gradients_averaged", "The gradients of both uses are averaged; they add up.",
        weight_tying.forward, FORWARD,
        "half = (self.token_embedding.weight + self.token_embedding.weight.detach()) / 2\nreturn self.logits_with(ids, half, half)"),
    # counting
    KnownMistake("counted_twice", "The tensor is counted once for each name: parameters() without duplicates counts it once.",
        weight_tying.count, COUNT, "return sum(p.numel() for _, p in self.named_parameters(remove_duplicate=False))"),
    # moving, saving, copying
    KnownMistake("cast_apart", "Moving to another dtype makes a new tensor for each of the two: tie them again, or let Module.to do it.",
        weight_tying.cast, CAST,
        "self.to(getattr(torch, dtype))\nself.head.weight = nn.Parameter(self.head.weight.detach().clone())"),
    KnownMistake("assigned_when_loaded", "load_state_dict(assign=True) puts a tensor of its own under each name: they are untied, in silence.",
        weight_tying.reload, LOADED, "fresh.load_state_dict(torch.load(file), assign=True)",
        seen_in=("TransformerLensOrg/TransformerLens#1725", "huggingface/accelerate#1204")),
    KnownMistake("untied_when_made_anew", "The new model is made empty first, and what was tied in its constructor is two tensors once it is filled.",
        weight_tying.reload, LOADED,
        "fresh.head.weight = nn.Parameter(torch.empty_like(fresh.head.weight))\nfresh.load_state_dict(torch.load(file))",
        seen_in=("NVIDIA-NeMo/Automodel#2511", "NVIDIA-NeMo/Automodel#2571"), looks_like=("assigned_when_loaded",)),
    KnownMistake("head_drawn_where_the_file_has_none", "Where the file has no head it stays as it was drawn: it must be tied, or filled from the embedding.",
        weight_tying.reload_without_head, LOADED_ONCE,
        "fresh.head.weight = nn.Parameter(torch.randn_like(fresh.head.weight))\nfresh.load_state_dict(state, strict=False)",
        seen_in=("vllm-project/vllm#53020",)),
    KnownMistake("file_without_head_refused", "A file that leaves the head out is refused: it holds the tensor once, which is all of it.",
        weight_tying.reload_without_head, LOADED_ONCE, "fresh.load_state_dict(state, strict=True)"),
    KnownMistake("copied_apart", "A copy is made module by module: embedding and head are copied each on its own.",
        weight_tying.duplicate, COPIED, "for name, module in list(self.named_children()):\n    setattr(self, name, copy.deepcopy(module))"),
)
