"""Known mistakes in the gated feed-forward layer of a block."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.swiglu import swiglu

GATE = "gate = linear(x, gate_weight)"
UP = "up = linear(x, up_weight)"
ACTIVATED = "activated = gate * torch.sigmoid(gate)"
HIDDEN = "hidden = activated * up"
RESULT = "return linear(hidden, down_weight)"

MISTAKES = (
    # weights
    KnownMistake("gate_and_up_exchanged", "gate and up are exchanged: the activation belongs on the gate (w1 in Llama), not on up (w3).",
        swiglu, GATE, "gate = linear(x, up_weight)", also=(Edit(swiglu, UP, "up = linear(x, gate_weight)"),)),
    KnownMistake("up_and_down_exchanged", "The weights are read in the order gate, down, up (w1, w2, w3 by name). They are passed in the order gate, up, down.",
        swiglu, UP, "up_weight, down_weight = down_weight, up_weight\nup = linear(x, up_weight)"),
    KnownMistake("gate_used_twice", "The gate is also used for up. up_weight is a separate matrix.", swiglu, UP, "up = linear(x, gate_weight)"),
    KnownMistake("up_used_twice", "up is also used for the gate. gate_weight is a separate matrix.", swiglu, GATE, "gate = linear(x, up_weight)"),
    KnownMistake("gate_weight_transposed", "gate_weight is read as [in, out]. It is [out, in] = [F, D], as in torch.nn.Linear.",
        swiglu, GATE, "gate = linear(x, gate_weight.transpose(0, 1))"),
    KnownMistake("up_weight_transposed", "up_weight is read as [in, out]. It is [out, in] = [F, D], as in torch.nn.Linear.",
        swiglu, UP, "up = linear(x, up_weight.transpose(0, 1))"),
    KnownMistake("down_weight_transposed", "down_weight is read as [in, out]. It is [out, in] = [D, F], as in torch.nn.Linear.",
        swiglu, RESULT, "return linear(hidden, down_weight.transpose(0, 1))"),
    KnownMistake("all_weights_transposed", "All weights are read as [in, out]. They are [out, in], as in torch.nn.Linear.",
        swiglu, GATE, "gate = linear(x, gate_weight.transpose(0, 1))",
        also=(Edit(swiglu, UP, "up = linear(x, up_weight.transpose(0, 1))"),
              Edit(swiglu, RESULT, "return linear(hidden, down_weight.transpose(0, 1))"))),
    KnownMistake("gate_and_up_interleaved", "gate and up are stacked, then split by even and odd features. The first half is the gate and the second half is up.",
        swiglu, GATE, "both = linear(x, torch.cat([gate_weight, up_weight]))\ngate = both[..., 0::2]",
        also=(Edit(swiglu, UP, "up = both[..., 1::2]"),)),
    KnownMistake("down_weight_reshaped_not_transposed", "down_weight is reshaped to [F, D] where it must be transposed. The entries end up in the wrong places.",
        swiglu, RESULT, "return linear(hidden, down_weight.reshape(down_weight.shape[1], down_weight.shape[0]).transpose(0, 1))", aliases=("down_weight_viewed",)),
    KnownMistake("down_weight_tied_to_up_weight", "The down projection uses up_weight transposed (tied weights). down_weight is a separate matrix.",
        swiglu, RESULT, "return linear(hidden, up_weight.transpose(0, 1))", aliases=("down_is_up_transposed",)),
    # the gate
    KnownMistake("silu_of_the_product", "The code computes silu(gate * up): the parenthesis is misplaced. It is silu(gate) * up.",
        swiglu, HIDDEN, "hidden = gate * up * torch.sigmoid(gate * up)", seen_in=("Nijikadesu/breakdown-minimind#3",)),
    KnownMistake("no_gate", "This is SiLU of a single projection. The product with up(x) is missing.",
        swiglu, HIDDEN, "hidden = activated", seen_in=("google-research/timesfm#493",)),
    KnownMistake("gate_added", "The gate is added to up(x). Multiply them.", swiglu, HIDDEN, "hidden = activated + up"),
    KnownMistake("both_activated", "The activation is applied to gate and up. It belongs on the gate only.",
        swiglu, UP, "up = linear(x, up_weight)\nup = up * torch.sigmoid(up)"),
    KnownMistake("bilinear", "The gate has no activation (the bilinear variant of the same paper).",
        swiglu, ACTIVATED, "activated = gate"),
    KnownMistake("sigmoid_for_silu", "The activation is a sigmoid (the original GLU). SiLU is a * sigmoid(a).",
        swiglu, ACTIVATED, "activated = torch.sigmoid(gate)"),
    KnownMistake("gelu_for_silu", "The activation is GELU (GEGLU of the same paper). SwiGLU uses SiLU.",
        swiglu, ACTIVATED, "activated = torch.nn.functional.gelu(gate)", looks_like=("variant=gelu_erf",)),
    KnownMistake("tanh_gelu_for_silu", "The activation is GELU with the tanh approximation. SwiGLU uses SiLU.",
        swiglu, ACTIVATED, 'activated = torch.nn.functional.gelu(gate, approximate="tanh")', looks_like=("variant=gelu_tanh",)),
    KnownMistake("relu_for_silu", "The activation is ReLU (ReGLU of the same paper). SwiGLU uses SiLU.", swiglu, ACTIVATED, "activated = gate.relu()", looks_like=("variant=relu",)),
    KnownMistake("quick_gelu_for_silu", "The activation is a * sigmoid(1.702 a). SiLU is a * sigmoid(a).",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(1.702 * gate)", looks_like=("variant=quick_gelu",)),
    KnownMistake("activation_twice", "The activation is applied twice.",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(gate)\nactivated = activated * torch.sigmoid(activated)", aliases=("silu_twice",)),
    KnownMistake("gate_clamped", "The gate is clamped at 7, as in some models. SwiGLU does not clamp it.",
        swiglu, GATE, "gate = linear(x, gate_weight).clamp(max=7.0)", aliases=("clamped",)),
    KnownMistake("activation_after_down", "The activation is applied a second time, after the down projection.",
        swiglu, RESULT, "return torch.nn.functional.silu(linear(hidden, down_weight))"),
    # extra operations
    KnownMistake("residual_inside", "x is added inside the feed-forward layer. The block adds the residual itself, so it counts twice.", swiglu, RESULT, "return x + linear(hidden, down_weight)"),
    KnownMistake("normalised_inside", "x is normalised inside the feed-forward layer. The block does this already, so x is normalised twice.",
        swiglu, GATE, "x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()\ngate = linear(x, gate_weight)"),
    KnownMistake("hidden_normalised", "The hidden features are normalised. SwiGLU has no norm there.",
        swiglu, HIDDEN, "hidden = activated * up\nhidden = hidden / (hidden.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()"),
    KnownMistake("positions_mixed_with_features", "x is flattened with its axes in the wrong order. This mixes positions with features.",
        swiglu, GATE, "x = x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x\ngate = linear(x, gate_weight)", aliases=("positions_for_features",)),
    KnownMistake("dropout_left_on", "Dropout is active outside training. Pass training=self.training, or use a module and call eval().",
        swiglu, RESULT, "return torch.nn.functional.dropout(linear(hidden, down_weight), 0.1, training=True)"),
    # precision, gradients and side effects
    KnownMistake("hidden_in_bfloat16", "The hidden features are rounded to bfloat16, which keeps about two significant digits.",
        swiglu, HIDDEN, "hidden = (activated * up).to(torch.bfloat16).to(x.dtype)"),
    KnownMistake("x_detached", "x is detached before the gate: a part of its gradient is missing.",
        swiglu, GATE, "gate = linear(x.detach(), gate_weight)"),
    KnownMistake("gate_detached", "The gate is detached: gate_weight receives no gradient.", swiglu, HIDDEN, "hidden = activated.detach() * up"),
    KnownMistake("up_detached", "up is detached: up_weight receives no gradient.", swiglu, HIDDEN, "hidden = activated * up.detach()"),
    KnownMistake("sigmoid_detached", "The sigmoid is detached: its part of the gradient is missing.",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(gate).detach()"),
    KnownMistake("down_weight_detached", "down_weight is used through .data or detach(): it receives no gradient.",
        swiglu, RESULT, "return linear(hidden, down_weight.detach())"),
    KnownMistake("written_into_x", "The result is written into x. This destroys the caller's tensor.",
        swiglu, RESULT, "result = linear(hidden, down_weight)\nreturn result if x.requires_grad else x.copy_(result)"),
    KnownMistake("gate_cached_across_calls", "The gate of the first call is cached and reused in every later call with the same shape.",
        swiglu, GATE, "gate = swiglu.__dict__.setdefault((x.shape, gate_weight.shape, x.dtype), linear(x, gate_weight))", aliases=("gate_kept",)),
)
