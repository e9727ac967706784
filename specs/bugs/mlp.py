"""Known mistakes in the feed-forward layer of a block. (The catalogue of gelu lists those in the activation.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.mlp import mlp

UP = "hidden = linear(x, up_weight, up_bias)"
ACTIVATED = "activated = gelu(hidden)"
RESULT = "return linear(activated, down_weight, down_bias)"

UP_TURNED = "hidden = linear(x, up_weight.transpose(0, 1), up_bias)"
DOWN_TURNED = "return linear(activated, down_weight.transpose(0, 1), down_bias)"

MISTAKES = (
    # weights
    KnownMistake("up_weight_transposed", "up_weight is read as [in, out]. It is [out, in] = [F, D], as in torch.nn.Linear.",
        mlp, UP, UP_TURNED, seen_in=("karpathy/nanoGPT@d995c22",)),
    KnownMistake("down_weight_transposed", "down_weight is read as [in, out]. It is [out, in] = [D, F], as in torch.nn.Linear.",
        mlp, RESULT, DOWN_TURNED),
    KnownMistake("both_weights_transposed", "up_weight and down_weight are read as [in, out], as in GPT-2's own Conv1D. They are [out, in], as in torch.nn.Linear.",
        mlp, UP, UP_TURNED, also=(Edit(mlp, RESULT, DOWN_TURNED),)),
    KnownMistake("weights_exchanged", "up_weight and down_weight are exchanged: each projection uses the weight of the other.",
        mlp, UP, "hidden = linear(x, down_weight, up_bias)", also=(Edit(mlp, RESULT, "return linear(activated, up_weight, down_bias)"),)),
    KnownMistake("weights_exchanged_and_transposed", "up_weight and down_weight are exchanged, and both are transposed. The shapes fit, so no error is raised.",
        mlp, UP, "hidden = linear(x, down_weight.transpose(0, 1), up_bias)",
        also=(Edit(mlp, RESULT, "return linear(activated, up_weight.transpose(0, 1), down_bias)"),)),
    KnownMistake("down_weight_tied_to_up_weight", "The down projection uses up_weight transposed (tied weights). down_weight is a separate matrix.",
        mlp, RESULT, "return linear(activated, up_weight.transpose(0, 1), down_bias)", aliases=("down_is_up_transposed",)),
    KnownMistake("up_weight_tied_to_down_weight", "The up projection uses down_weight transposed (tied weights). up_weight is a separate matrix.",
        mlp, UP, "hidden = linear(x, down_weight.transpose(0, 1), up_bias)", aliases=("up_is_down_transposed",)),
    KnownMistake("up_weight_reshaped_not_transposed", "up_weight is reshaped to [D, F] where it must be transposed. The entries end up in the wrong places.",
        mlp, UP, "hidden = linear(x, up_weight.reshape(up_weight.shape[1], up_weight.shape[0]).transpose(0, 1), up_bias)", aliases=("up_weight_viewed",)),
    KnownMistake("down_weight_reshaped_not_transposed", "down_weight is reshaped to [F, D] where it must be transposed. The entries end up in the wrong places.",
        mlp, RESULT, "return linear(activated, down_weight.reshape(down_weight.shape[1], down_weight.shape[0]).transpose(0, 1), down_bias)", aliases=("down_weight_viewed",)),
    # biases
    KnownMistake("up_bias_forgotten", "up_bias is not added.", mlp, UP, "hidden = linear(x, up_weight, None)"),
    KnownMistake("down_bias_forgotten", "down_bias is not added.", mlp, RESULT, "return linear(activated, down_weight, None)"),
    KnownMistake("up_bias_after_activation", "up_bias is added after the activation. It must be added before it.",
        mlp, UP, "hidden = linear(x, up_weight, None)", also=(Edit(mlp, ACTIVATED, "activated = gelu(hidden) if up_bias is None else gelu(hidden) + up_bias"),)),
    KnownMistake("down_bias_twice", "down_bias is added twice.", mlp, RESULT, "return linear(activated, down_weight, None if down_bias is None else 2 * down_bias)"),
    # position of the activation
    KnownMistake("activation_forgotten", "There is no activation: two linear maps in a row are one linear map.", mlp, ACTIVATED, "activated = hidden"),
    KnownMistake("activation_twice", "The activation is applied twice.", mlp, ACTIVATED, "activated = gelu(gelu(hidden))"),
    KnownMistake("activation_after_down", "The activation is applied a second time, after the down projection.",
        mlp, RESULT, "return gelu(linear(activated, down_weight, down_bias))"),
    KnownMistake("activation_only_after_down", "The activation is applied after the down projection. It belongs between the two projections.",
        mlp, ACTIVATED, "activated = hidden", also=(Edit(mlp, RESULT, "return gelu(linear(activated, down_weight, down_bias))"),)),
    KnownMistake("activation_before_up", "The activation is applied before the up projection. It belongs between the two projections.",
        mlp, UP, "hidden = linear(gelu(x), up_weight, up_bias)", also=(Edit(mlp, ACTIVATED, "activated = hidden"),)),
    KnownMistake("squared_relu", "The activation is the squared ReLU. GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.relu() ** 2", looks_like=("variant=relu2",)),
    KnownMistake("tanh", "The activation is tanh. GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.tanh()"),
    KnownMistake("leaky_relu", "The activation is a leaky ReLU. GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.where(hidden > 0, 0.01 * hidden)"),
    KnownMistake("gated_by_itself", "The hidden features are multiplied by their own activation: h * gelu(h). GPT-2 has no gate.", mlp, ACTIVATED, "activated = hidden * gelu(hidden)"),
    KnownMistake("softmax_for_activation", "The activation is a softmax over the hidden features. GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.softmax(-1)"),
    # extra operations
    KnownMistake("residual_inside", "x is added inside the MLP. The block adds the residual itself, so it counts twice.",
        mlp, RESULT, "return x + linear(activated, down_weight, down_bias)"),
    KnownMistake("normalised_inside", "x is normalised inside the MLP. The block does this already, so x is normalised twice.",
        mlp, UP, "hidden = linear((x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt(), up_weight, up_bias)"),
    KnownMistake("hidden_normalised", "The hidden features are normalised. GPT-2 has no norm there.",
        mlp, ACTIVATED, "activated = gelu((hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, correction=0, keepdim=True) + 1e-5).sqrt())"),
    KnownMistake("positions_mixed_with_features", "x is flattened with its axes in the wrong order. This mixes positions with features.",
        mlp, UP, "hidden = linear(x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x, up_weight, up_bias)", aliases=("positions_for_features",)),
    KnownMistake("mean_over_positions", "The hidden features are averaged over the positions. Every position must keep its own.",
        mlp, ACTIVATED, "activated = gelu(hidden.mean(-2, keepdim=True).expand(hidden.shape) if hidden.dim() > 1 else hidden)"),
    KnownMistake("hidden_in_bfloat16", "The hidden features are rounded to bfloat16, which keeps about two significant digits.",
        mlp, ACTIVATED, 'activated = gelu(hidden.bfloat16().to(x.dtype))'),
    KnownMistake("dropout_left_on", "Dropout is active outside training. Pass training=self.training, or use a module and call eval().",
        mlp, RESULT, "import torch\nreturn torch.nn.functional.dropout(linear(activated, down_weight, down_bias), 0.1, training=True)",
        seen_in=("karpathy/nanoGPT#240",)),
    # gradients and state
    KnownMistake("x_detached", "x is detached: no gradient reaches the layers before it.", mlp, UP, "hidden = linear(x.detach(), up_weight, up_bias)", aliases=("input_detached",)),
    KnownMistake("hidden_detached", "The hidden features are detached: up_weight receives no gradient.", mlp, ACTIVATED, "activated = gelu(hidden.detach())"),
    KnownMistake("down_weight_detached", "down_weight is used through .data or detach(): it receives no gradient.",
        mlp, RESULT, "return linear(activated, down_weight.detach(), down_bias)"),
    KnownMistake("up_weight_detached", "up_weight is used through .data or detach(): it receives no gradient.", mlp, UP, "hidden = linear(x, up_weight.detach(), up_bias)"),
    KnownMistake("written_into_x", "The result is written into x. This destroys the caller's tensor.",
        mlp, RESULT, "result = linear(activated, down_weight, down_bias)\nreturn result if x.requires_grad else x.copy_(result)"),
    KnownMistake("hidden_cached_across_calls", "The hidden features of the first call are cached and reused in every later call with the same shape.",
        mlp, UP, "hidden = mlp.__dict__.setdefault(tuple(x.shape), linear(x, up_weight, up_bias))", aliases=("hidden_kept",)),
)
