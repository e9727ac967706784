"""Known mistakes that both low-rank adapters share: everything but the scale."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.lora import lora

BASE = "base = linear(x, self.weight, self.bias)"
DROPPED = "dropped = torch.nn.functional.dropout(x, self.dropout, self.training)"
NARROW = "narrow = linear(dropped, self.a, None)"
WIDE = "wide = linear(narrow, self.b, None)"
ADAPTED = "adapted = wide * self.scale()"
RESULT = "return base + adapted"
PRODUCT = "product = self.b @ self.a"
UPDATE = "return product * self.scale()"
ADDED = "self.added = self.update().detach()"
MERGED = "self.weight = self.weight + self.added"
UNMERGED = "self.weight = self.weight - self.added"
COPIED = "self.weight = weight.detach().clone()"
HANDED_OUT = 'return {"a": self.a, "b": self.b}'

SHARED = (
    # the forward pass
    KnownMistake("scale_twice", "forward() applies the scale twice: once is enough.",
        lora.forward, ADAPTED, "adapted = wide * self.scale() * self.scale()"),
    KnownMistake("sign_of_the_update", "The update is subtracted; it is added to the base.", lora.forward, RESULT, "return base - adapted"),
    KnownMistake("base_left_out", "Only the adapter's part comes out: the frozen layer's output must be added to it.",
        lora.forward, RESULT, "return adapted"),
    KnownMistake("bias_forgotten", "The bias of the base layer is lost.", lora.forward, BASE, "base = linear(x, self.weight, None)"),
    KnownMistake("bias_twice", "The bias is added twice: once by the base layer and once by you.",
        lora.forward, RESULT, "return base + adapted + (0 if self.bias is None else self.bias)"),
    KnownMistake("bias_in_the_adapter", "The adapter adds the bias too, and scales it; only the base layer has one.",
        lora.forward, WIDE, "wide = linear(narrow, self.b, self.bias)"),
    KnownMistake("bias_scaled", "The scale multiplies the base layer as well; it belongs to B A x alone.",
        lora.forward, RESULT, "return (base + wide) * self.scale()"),
    KnownMistake("a_and_b_in_the_wrong_order", "A and B are applied in the wrong order, transposed: x must meet A first, B second.",
        lora.forward, NARROW, "narrow = linear(dropped, self.b.T, None)", also=(Edit(lora.forward, WIDE, "wide = linear(narrow, self.a.T, None)"),)),
    KnownMistake("adapter_reads_the_output", "The adapter is given the base layer's output; it must read the same x as the base.",
        lora.forward, NARROW, "narrow = linear(base, self.a, None)"),
    KnownMistake("x_added", "x itself is added to the change: there is no residual around an adapter.",
        lora.forward, RESULT, "return base + adapted + (x if x.shape == base.shape else x.mean(-1, keepdim=True))"),
    KnownMistake("nonlinearity_between", "There is no activation between A and B: else it could not be merged into the weight.",
        lora.forward, WIDE, "wide = linear(torch.relu(narrow), self.b, None)"),
    KnownMistake("first_a_kept", "A copy of A is taken at the first forward pass and used ever after: later values do not count.",
        lora.forward, NARROW, 'narrow = linear(dropped, self.__dict__.setdefault("first_a", self.a.clone()), None)'),
    # gradients
    KnownMistake("weight_not_frozen", "The weight of the base layer receives a gradient: it must be frozen, only a and b are trained.",
        lora.__init__, COPIED, "self.weight = weight.clone()"),
    KnownMistake("bias_not_frozen", "The bias of the base layer receives a gradient: it must be frozen, only a and b are trained.",
        lora.__init__, "self.bias = None if bias is None else bias.detach().clone()", "self.bias = bias"),
    KnownMistake("base_cut_off", "The base layer runs under no_grad: it is its weight that is frozen, x must still get its gradient through it.",
        lora.forward, BASE, "base = linear(x, self.weight, self.bias).detach()"),
    KnownMistake("adapter_cut_off_from_x", "The adapter reads x.detach(): the layers below lose its share of the gradient.",
        lora.forward, NARROW, "narrow = linear(dropped.detach(), self.a, None)"),
    KnownMistake("a_detached", "A is detached: it is never trained.", lora.forward, NARROW, "narrow = linear(dropped, self.a.detach(), None)"),
    KnownMistake("b_detached", "B is detached: it stays zero, so nothing is ever learned.",
        lora.forward, WIDE, "wide = linear(narrow, self.b.detach(), None)"),
    KnownMistake("copies_handed_out", "parameters() hands out copies: an optimizer would train those, not the adapter.",
        lora.parameters, HANDED_OUT, 'return {"a": self.a.clone(), "b": self.b.clone()}'),
    # the start
    KnownMistake("b_starts_random", "B starts at random values: it must start at zero, so that the layer is at first the one it was.",
        lora.__init__, "b = torch.zeros(out_features, rank, dtype=weight.dtype, device=weight.device)",
        "b = torch.randn(out_features, rank, dtype=weight.dtype, device=weight.device)",
        seen_in=("Lightning-AI/litgpt@d694c7df53352065b6ef220574576178f74d63ef",)),
    KnownMistake("a_starts_at_zero", "A and B both start at zero: neither ever gets a gradient. A must start at random values.",
        lora.__init__, "a = a.uniform_(-bound, bound)", "a = a.zero_()"),
    # load and parameters
    KnownMistake("load_adds", "load() adds to A; it must replace it.", lora.load, "self.a.copy_(a)", "self.a.add_(a)"),
    KnownMistake("load_forgets_b", "load() takes over A and leaves B as it was.", lora.load, "self.b.copy_(b)", "pass"),
    KnownMistake("a_and_b_exchanged", "parameters() gives b as a and a as b.", lora.parameters, HANDED_OUT, 'return {"a": self.b, "b": self.a}'),
    # merging
    KnownMistake("merged_without_scale", "merge() adds B A without the scale.", lora.merge, ADDED, "self.added = (self.b @ self.a).detach()"),
    KnownMistake("merged_with_the_scale_twice", "merge() scales B A a second time: it is scaled already.",
        lora.merge, ADDED, "self.added = self.update().detach() * self.scale()"),
    KnownMistake("merged_transposed", "merge() adds the transpose of B A. A square weight hides it; its numbers are wrong there too.",
        lora.merge, ADDED, "self.added = self.update().detach().T", seen_in=("Lightning-AI/lit-llama#185",)),
    KnownMistake("merged_with_the_wrong_sign", "merge() subtracts the update; it must add it.", lora.merge, MERGED, "self.weight = self.weight - self.added"),
    KnownMistake("merged_twice_counts_twice", "Merging twice adds the update twice: remember that it is merged.",
        lora.merge, "if self.merged:\n    return", ""),
    KnownMistake("merged_in_place", "The layer keeps the very weight it was given and merges into it: everybody who shares it is changed.",
        lora.merge, MERGED, "self.weight += self.added", also=(Edit(lora.__init__, COPIED, "self.weight = weight.detach()"),)),
    KnownMistake("merged_in_half_precision", "The update is rounded to bfloat16 on its way into the weight.",
        lora.merge, ADDED, "self.added = self.update().detach().to(torch.bfloat16).to(self.weight.dtype)",
        seen_in=("Lightning-AI/litgpt@d8dc97e4160307a674a6f4bd3ccdacbaa90b4c90",)),
    KnownMistake("adapter_added_again_when_merged", "forward() adds the adapter although it is merged into the weight already.",
        lora.forward, "if self.merged:\n    return base", ""),
    KnownMistake("bias_lost_when_merged", "Merged, the layer forgets its bias.",
        lora.forward, "if self.merged:\n    return base", "if self.merged:\n    return linear(x, self.weight, None)"),
    KnownMistake("first_update_kept", "The update is computed at the first merge and used for every later one.",
        lora.merge, ADDED, 'self.added = self.__dict__.setdefault("first_update", self.update().detach())'),
    KnownMistake("unmerged_with_the_wrong_sign", "unmerge() adds the update once more; it must take it off.",
        lora.unmerge, UNMERGED, "self.weight = self.weight + self.added"),
    KnownMistake("unmerged_without_scale", "unmerge() takes off B A without the scale that merge() put on it.",
        lora.unmerge, UNMERGED, "self.weight = self.weight - (self.b @ self.a).detach()"),
    KnownMistake("unmerged_in_name_only", "unmerge() forgets to take the update off the weight.", lora.unmerge, UNMERGED, "pass"),
    KnownMistake("still_merged_after_unmerge", "unmerge() takes the update off but forgets to say so: the adapter stays silent from then on.",
        lora.unmerge, "self.merged = False", "pass"),
    # dropout
    KnownMistake("dropout_on_the_base", "Dropout acts on the base layer's input too; it belongs to what goes into the adapter alone.",
        lora.forward, BASE, "x = torch.nn.functional.dropout(x, self.dropout, self.training)\nbase = linear(x, self.weight, self.bias)",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_on_the_update", "Dropout acts on what comes out of B; it belongs to what goes into A.",
        lora.forward, ADAPTED, "adapted = torch.nn.functional.dropout(wide, self.dropout, self.training) * self.scale()",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_between_a_and_b", "Dropout acts between A and B; it belongs to what goes into A.",
        lora.forward, WIDE, "wide = linear(torch.nn.functional.dropout(narrow, self.dropout, self.training), self.b, None)",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_in_evaluation", "Dropout acts in evaluation mode too.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, self.dropout, True)"),
    KnownMistake("dropout_never", "The dropout given is not used.", lora.forward, DROPPED, "dropped = x"),
    KnownMistake("dropout_not_made_up_for", "What dropout keeps must be scaled by 1 / (1 - p), so that evaluation needs no change.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, self.dropout, self.training) * (1 - self.dropout * self.training)"),
    KnownMistake("dropout_keeps_what_it_should_drop", "The share given is kept; it is the share to drop.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, 1 - self.dropout, self.training)"),
)
