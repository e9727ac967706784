"""Known mistakes in the gated feed-forward half of a block."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.swiglu import swiglu

GATE = "gate = linear(x, gate_weight)"
UP = "up = linear(x, up_weight)"
ACTIVATED = "activated = gate * torch.sigmoid(gate)"
HIDDEN = "hidden = activated * up"
RESULT = "return linear(hidden, down_weight)"

MISTAKES = (
    # weights
    KnownMistake("gate_and_up_exchanged", "gate and up have changed places: the activation belongs on the gate (w1 of Llama), not on up (w3).",
        swiglu, GATE, "gate = linear(x, up_weight)", also=(Edit(swiglu, UP, "up = linear(x, gate_weight)"),)),
    KnownMistake("up_and_down_exchanged", "You take the weights in the order gate, down, up (w1, w2, w3 by name); the call gives gate, up, down.",
        swiglu, UP, "up_weight, down_weight = down_weight, up_weight\nup = linear(x, up_weight)"),
    KnownMistake("gate_used_twice", "The gate is used for up as well; up_weight is a matrix of its own.", swiglu, UP, "up = linear(x, gate_weight)"),
    KnownMistake("up_used_twice", "up is used for the gate as well; gate_weight is a matrix of its own.", swiglu, GATE, "gate = linear(x, up_weight)"),
    KnownMistake("gate_weight_transposed", "Your gate_weight is [in, out]; it is [out, in], [F, D], as in torch.nn.Linear.",
        swiglu, GATE, "gate = linear(x, gate_weight.transpose(0, 1))"),
    KnownMistake("up_weight_transposed", "Your up_weight is [in, out]; it is [out, in], [F, D], as in torch.nn.Linear.",
        swiglu, UP, "up = linear(x, up_weight.transpose(0, 1))"),
    KnownMistake("down_weight_transposed", "Your down_weight is [in, out]; it is [out, in], [D, F], as in torch.nn.Linear.",
        swiglu, RESULT, "return linear(hidden, down_weight.transpose(0, 1))"),
    KnownMistake("all_weights_transposed", "Your weights are [in, out]; they are [out, in], as in torch.nn.Linear.",
        swiglu, GATE, "gate = linear(x, gate_weight.transpose(0, 1))",
        also=(Edit(swiglu, UP, "up = linear(x, up_weight.transpose(0, 1))"),
              Edit(swiglu, RESULT, "return linear(hidden, down_weight.transpose(0, 1))"))),
    KnownMistake("gate_and_up_interleaved", "gate and up are stacked and then read feature by feature in turn; all of the gate comes first, then all of up.",
        swiglu, GATE, "both = linear(x, torch.cat([gate_weight, up_weight]))\ngate = both[..., 0::2]",
        also=(Edit(swiglu, UP, "up = both[..., 1::2]"),)),
    KnownMistake("down_weight_viewed", "down_weight is viewed as [F, D] without being transposed: the numbers end up in other places.",
        swiglu, RESULT, "return linear(hidden, down_weight.reshape(down_weight.shape[1], down_weight.shape[0]).transpose(0, 1))"),
    KnownMistake("down_is_up_transposed", "The way down uses up_weight transposed (tied weights); down_weight is a matrix of its own.",
        swiglu, RESULT, "return linear(hidden, up_weight.transpose(0, 1))"),
    # the gate
    KnownMistake("silu_of_the_product", "silu(gate * up): the parenthesis is in the wrong place. It is silu(gate) * up.",
        swiglu, HIDDEN, "hidden = gate * up * torch.sigmoid(gate * up)", seen_in=("Nijikadesu/breakdown-minimind#3",)),
    KnownMistake("no_gate", "This is a plain SiLU of one projection; up(x) is not multiplied in.",
        swiglu, HIDDEN, "hidden = activated", seen_in=("google-research/timesfm#493",)),
    KnownMistake("gate_added", "The gate is added to up(x); it must be multiplied.", swiglu, HIDDEN, "hidden = activated + up"),
    KnownMistake("both_activated", "The activation is on both gate and up; it belongs on the gate alone.",
        swiglu, UP, "up = linear(x, up_weight)\nup = up * torch.sigmoid(up)"),
    KnownMistake("bilinear", "There is no activation on the gate (this is the bilinear form of the same paper).",
        swiglu, ACTIVATED, "activated = gate"),
    KnownMistake("sigmoid_for_silu", "You use the plain sigmoid (the first GLU); silu(a) is a times sigmoid(a).",
        swiglu, ACTIVATED, "activated = torch.sigmoid(gate)"),
    KnownMistake("gelu_for_silu", "You use GELU (GEGLU of the same paper); SwiGLU uses SiLU.",
        swiglu, ACTIVATED, "activated = torch.nn.functional.gelu(gate)"),
    KnownMistake("tanh_gelu_for_silu", "You use GELU in its tanh form; SwiGLU uses SiLU.",
        swiglu, ACTIVATED, 'activated = torch.nn.functional.gelu(gate, approximate="tanh")'),
    KnownMistake("relu_for_silu", "You use ReLU (ReGLU of the same paper); SwiGLU uses SiLU.", swiglu, ACTIVATED, "activated = gate.relu()"),
    KnownMistake("quick_gelu_for_silu", "You use a * sigmoid(1.702 a); SiLU is a * sigmoid(a).",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(1.702 * gate)"),
    KnownMistake("silu_twice", "The activation is applied twice.",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(gate)\nactivated = activated * torch.sigmoid(activated)"),
    KnownMistake("clamped", "The gate is clamped at 7 (as some models do); SwiGLU does not.",
        swiglu, GATE, "gate = linear(x, gate_weight).clamp(max=7.0)"),
    KnownMistake("activation_after_down", "The activation is applied once more, after the down projection.",
        swiglu, RESULT, "return torch.nn.functional.silu(linear(hidden, down_weight))"),
    # more than a feed-forward
    KnownMistake("residual_inside", "x is added inside; the block adds it, so it counts twice there.", swiglu, RESULT, "return x + linear(hidden, down_weight)"),
    KnownMistake("normalised_inside", "x is normalised inside; the block does that, so it happens twice there.",
        swiglu, GATE, "x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()\ngate = linear(x, gate_weight)"),
    KnownMistake("hidden_normalised", "The hidden features are normalised; SwiGLU does not.",
        swiglu, HIDDEN, "hidden = activated * up\nhidden = hidden / (hidden.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()"),
    KnownMistake("positions_for_features", "x is flattened with its axes in the wrong order, which mixes positions with features.",
        swiglu, GATE, "x = x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x\ngate = linear(x, gate_weight)"),
    KnownMistake("dropout_left_on", "Dropout is on though you are not training: pass training=self.training, or use a module and eval().",
        swiglu, RESULT, "return torch.nn.functional.dropout(linear(hidden, down_weight), 0.1, training=True)"),
    # precision, gradients and side effects
    KnownMistake("hidden_in_bfloat16", "The hidden features are rounded to bfloat16: two digits are left.",
        swiglu, HIDDEN, "hidden = (activated * up).to(torch.bfloat16).to(x.dtype)"),
    KnownMistake("x_detached", "x is detached on its way into the gate: a part of its gradient is lost.",
        swiglu, GATE, "gate = linear(x.detach(), gate_weight)"),
    KnownMistake("gate_detached", "The gate is detached: gate_weight receives no gradient.", swiglu, HIDDEN, "hidden = activated.detach() * up"),
    KnownMistake("up_detached", "up is detached: up_weight receives no gradient.", swiglu, HIDDEN, "hidden = activated * up.detach()"),
    KnownMistake("sigmoid_detached", "The sigmoid is detached: its share of the gradient is lost.",
        swiglu, ACTIVATED, "activated = gate * torch.sigmoid(gate).detach()"),
    KnownMistake("down_weight_detached", "down_weight is used through .data or detach(): it receives no gradient.",
        swiglu, RESULT, "return linear(hidden, down_weight.detach())"),
    KnownMistake("written_into_x", "The result is written into x; the caller's tensor is destroyed.",
        swiglu, RESULT, "result = linear(hidden, down_weight)\nreturn result if x.requires_grad else x.copy_(result)"),
    KnownMistake("gate_kept", "The gate of the first call is kept for every later one of the same shape.",
        swiglu, GATE, "gate = swiglu.__dict__.setdefault((x.shape, gate_weight.shape, x.dtype), linear(x, gate_weight))"),
)
