"""Known mistakes shared by both low-rank adapters: all but those in the scale."""

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
    KnownMistake("update_subtracted", "The update is subtracted. It must be added to the base layer's output.", lora.forward, RESULT, "return base - adapted", aliases=("sign_of_the_update",)),
    KnownMistake("base_left_out", "Only the adapter's output is returned. The frozen base layer's output must be added to it.",
        lora.forward, RESULT, "return adapted"),
    KnownMistake("bias_forgotten", "The bias of the base layer is not added.", lora.forward, BASE, "base = linear(x, self.weight, None)"),
    KnownMistake("bias_twice", "The bias is added twice: once by the base layer and once more in forward().",
        lora.forward, RESULT, "return base + adapted + (0 if self.bias is None else self.bias)"),
    KnownMistake("bias_in_the_adapter", "The adapter adds the bias too, and scales it. Only the base layer adds the bias.",
        lora.forward, WIDE, "wide = linear(narrow, self.b, self.bias)"),
    KnownMistake("base_scaled_too", "The scale multiplies the base layer's output as well. It applies to B A x only.",
        lora.forward, RESULT, "return (base + wide) * self.scale()", aliases=("bias_scaled",)),
    KnownMistake("a_and_b_in_the_wrong_order", "A and B are applied transposed and in the wrong order. x must be multiplied by A first, then by B.",
        lora.forward, NARROW, "narrow = linear(dropped, self.b.T, None)", also=(Edit(lora.forward, WIDE, "wide = linear(narrow, self.a.T, None)"),)),
    KnownMistake("adapter_reads_the_output", "The adapter reads the base layer's output. It must read x, as the base layer does.",
        lora.forward, NARROW, "narrow = linear(base, self.a, None)"),
    KnownMistake("residual_inside", "x is added to the output. There is no residual connection around a LoRA adapter.",
        lora.forward, RESULT, "return base + adapted + (x if x.shape == base.shape else x.mean(-1, keepdim=True))", aliases=("x_added",)),
    KnownMistake("activation_between_a_and_b", "An activation is applied between A and B. The update must be linear, or it cannot be merged into the weight.",
        lora.forward, WIDE, "wide = linear(torch.relu(narrow), self.b, None)", aliases=("nonlinearity_between",)),
    KnownMistake("a_cached_across_calls", "A is copied at the first forward pass and the copy is reused. Later values of A have no effect.",
        lora.forward, NARROW, 'narrow = linear(dropped, self.__dict__.setdefault("first_a", self.a.clone()), None)', aliases=("first_a_kept",)),
    # gradients
    KnownMistake("weight_not_frozen", "The base layer's weight receives a gradient. It must be frozen: only A and B are trained.",
        lora.__init__, COPIED, "self.weight = weight.clone()"),
    KnownMistake("bias_not_frozen", "The base layer's bias receives a gradient. It must be frozen: only A and B are trained.",
        lora.__init__, "self.bias = None if bias is None else bias.detach().clone()", "self.bias = bias"),
    KnownMistake("base_output_detached", "The base layer runs under no_grad. Only its weight is frozen: the gradient must still flow through it to x.",
        lora.forward, BASE, "base = linear(x, self.weight, self.bias).detach()", aliases=("base_cut_off",)),
    KnownMistake("adapter_input_detached", "The adapter reads x.detach(): the layers below lose the gradient that flows through the adapter.",
        lora.forward, NARROW, "narrow = linear(dropped.detach(), self.a, None)", aliases=("adapter_cut_off_from_x",)),
    KnownMistake("a_detached", "A is detached: it is never trained.", lora.forward, NARROW, "narrow = linear(dropped, self.a.detach(), None)"),
    KnownMistake("b_detached", "B is detached: it stays zero, so nothing is ever learned.",
        lora.forward, WIDE, "wide = linear(narrow, self.b.detach(), None)"),
    KnownMistake("parameters_are_copies", "parameters() returns copies: an optimizer would train those, not the adapter.",
        lora.parameters, HANDED_OUT, 'return {"a": self.a.clone(), "b": self.b.clone()}', aliases=("copies_handed_out",)),
    # the start
    KnownMistake("b_starts_random", "B starts at random values. It must start at zero, so that the adapted layer first equals the base layer.",
        lora.__init__, "b = torch.zeros(out_features, rank, dtype=weight.dtype, device=weight.device)",
        "b = torch.randn(out_features, rank, dtype=weight.dtype, device=weight.device)",
        seen_in=("Lightning-AI/litgpt@d694c7df53352065b6ef220574576178f74d63ef",)),
    KnownMistake("a_starts_at_zero", "A and B both start at zero: neither ever gets a gradient. A must start at random values.",
        lora.__init__, "a = a.uniform_(-bound, bound)", "a = a.zero_()"),
    # load and parameters
    KnownMistake("load_adds", "load() adds to A. It must replace A.", lora.load, "self.a.copy_(a)", "self.a.add_(a)"),
    KnownMistake("load_forgets_b", "load() sets A and leaves B unchanged.", lora.load, "self.b.copy_(b)", "pass"),
    KnownMistake("a_and_b_exchanged", "parameters() returns B under the name a and A under the name b.", lora.parameters, HANDED_OUT, 'return {"a": self.b, "b": self.a}'),
    # merging
    KnownMistake("merged_without_scale", "merge() adds B A without the scale.", lora.merge, ADDED, "self.added = (self.b @ self.a).detach()"),
    KnownMistake("merged_with_the_scale_twice", "merge() scales B A a second time. It is already scaled.",
        lora.merge, ADDED, "self.added = self.update().detach() * self.scale()"),
    KnownMistake("merged_transposed", "merge() adds the transpose of B A. With a square weight the shapes fit, but the numbers are wrong.",
        lora.merge, ADDED, "self.added = self.update().detach().T", seen_in=("Lightning-AI/lit-llama#185",)),
    KnownMistake("merged_with_the_wrong_sign", "merge() subtracts the update. It must add it.", lora.merge, MERGED, "self.weight = self.weight - self.added"),
    KnownMistake("second_merge_adds_again", "A second call of merge() adds the update again. It must do nothing when the adapter is already merged.",
        lora.merge, "if self.merged:\n    return", "", aliases=("merged_twice_counts_twice",)),
    KnownMistake("merged_in_place", "The layer stores the given weight without a copy and merges into it in place: every module that shares the weight changes.",
        lora.merge, MERGED, "self.weight += self.added", also=(Edit(lora.__init__, COPIED, "self.weight = weight.detach()"),)),
    KnownMistake("merged_in_half_precision", "The update is rounded to bfloat16 before it is added to the weight.",
        lora.merge, ADDED, "self.added = self.update().detach().to(torch.bfloat16).to(self.weight.dtype)",
        seen_in=("Lightning-AI/litgpt@d8dc97e4160307a674a6f4bd3ccdacbaa90b4c90",)),
    KnownMistake("adapter_added_again_when_merged", "forward() adds the adapter although it is already merged into the weight.",
        lora.forward, "if self.merged:\n    return base", ""),
    KnownMistake("bias_lost_when_merged", "A merged layer drops its bias.",
        lora.forward, "if self.merged:\n    return base", "if self.merged:\n    return linear(x, self.weight, None)"),
    KnownMistake("update_cached_across_merges", "The update is computed at the first merge and reused for every later one.",
        lora.merge, ADDED, 'self.added = self.__dict__.setdefault("first_update", self.update().detach())', aliases=("first_update_kept",)),
    KnownMistake("unmerged_with_the_wrong_sign", "unmerge() adds the update again. It must subtract it.",
        lora.unmerge, UNMERGED, "self.weight = self.weight + self.added"),
    KnownMistake("unmerged_without_scale", "unmerge() subtracts B A without the scale that merge() applied.",
        lora.unmerge, UNMERGED, "self.weight = self.weight - (self.b @ self.a).detach()"),
    KnownMistake("unmerge_keeps_the_update", "unmerge() does not subtract the update from the weight.", lora.unmerge, UNMERGED, "pass", aliases=("unmerged_in_name_only",)),
    KnownMistake("merged_flag_not_cleared", "unmerge() subtracts the update but leaves self.merged at True: forward() skips the adapter from then on.",
        lora.unmerge, "self.merged = False", "pass", aliases=("still_merged_after_unmerge",)),
    # dropout
    KnownMistake("dropout_on_the_base", "Dropout is applied to the base layer's input too. It belongs on the adapter's input only.",
        lora.forward, BASE, "x = torch.nn.functional.dropout(x, self.dropout, self.training)\nbase = linear(x, self.weight, self.bias)",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_on_the_update", "Dropout is applied to the output of B. It belongs on the input of A.",
        lora.forward, ADAPTED, "adapted = torch.nn.functional.dropout(wide, self.dropout, self.training) * self.scale()",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_between_a_and_b", "Dropout is applied between A and B. It belongs on the input of A.",
        lora.forward, WIDE, "wide = linear(torch.nn.functional.dropout(narrow, self.dropout, self.training), self.b, None)",
        also=(Edit(lora.forward, DROPPED, "dropped = x"),)),
    KnownMistake("dropout_in_evaluation", "Dropout is applied in evaluation mode too.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, self.dropout, True)"),
    KnownMistake("dropout_ignored", "The dropout argument is ignored.", lora.forward, DROPPED, "dropped = x", aliases=("dropout_never",)),
    KnownMistake("dropout_not_rescaled", "The values that dropout keeps are not scaled by 1 / (1 - p). They must be, so that evaluation needs no correction.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, self.dropout, self.training) * (1 - self.dropout * self.training)", aliases=("dropout_not_made_up_for",)),
    KnownMistake("dropout_probability_inverted", "The dropout probability is used as the probability to keep. It is the probability to drop.",
        lora.forward, DROPPED, "dropped = torch.nn.functional.dropout(x, 1 - self.dropout, self.training)", aliases=("dropout_keeps_what_it_should_drop",)),
)
