"""Known mistakes in the feed-forward half of a block. (Those in the activation itself are gelu's.)"""

from harness.core.mistake import Edit, KnownMistake
from reference_model.mlp import mlp

UP = "hidden = linear(x, up_weight, up_bias)"
ACTIVATED = "activated = gelu(hidden)"
RESULT = "return linear(activated, down_weight, down_bias)"

UP_TURNED = "hidden = linear(x, up_weight.transpose(0, 1), up_bias)"
DOWN_TURNED = "return linear(activated, down_weight.transpose(0, 1), down_bias)"

MISTAKES = (
    # weights
    KnownMistake("up_weight_transposed", "Your up_weight is [in, out]; it is [out, in], [F, D], as in torch.nn.Linear.",
        mlp, UP, UP_TURNED, seen_in=("karpathy/nanoGPT@d995c22",)),
    KnownMistake("down_weight_transposed", "Your down_weight is [in, out]; it is [out, in], [D, F], as in torch.nn.Linear.",
        mlp, RESULT, DOWN_TURNED),
    KnownMistake("both_weights_transposed", "Your up_weight and down_weight are [in, out], as GPT-2's own Conv1D keeps them; they are [out, in], "
        "as in torch.nn.Linear.",
        mlp, UP, UP_TURNED, also=(Edit(mlp, RESULT, DOWN_TURNED),)),
    KnownMistake("weights_exchanged", "up_weight and down_weight have changed places: with the shapes of the one you use the other.",
        mlp, UP, "hidden = linear(x, down_weight, up_bias)", also=(Edit(mlp, RESULT, "return linear(activated, up_weight, down_bias)"),)),
    KnownMistake("weights_exchanged_and_transposed", "up_weight and down_weight have changed places, each used as [in, out]; the shapes fit, so nothing "
        "complains.",
        mlp, UP, "hidden = linear(x, down_weight.transpose(0, 1), up_bias)",
        also=(Edit(mlp, RESULT, "return linear(activated, up_weight.transpose(0, 1), down_bias)"),)),
    KnownMistake("down_is_up_transposed", "The way down uses up_weight transposed (tied weights); down_weight is a matrix of its own.",
        mlp, RESULT, "return linear(activated, up_weight.transpose(0, 1), down_bias)"),
    KnownMistake("up_is_down_transposed", "The way up uses down_weight transposed (tied weights); up_weight is a matrix of its own.",
        mlp, UP, "hidden = linear(x, down_weight.transpose(0, 1), up_bias)"),
    KnownMistake("up_weight_viewed", "up_weight is viewed as [D, F] without being transposed: the numbers end up in other places.",
        mlp, UP, "hidden = linear(x, up_weight.reshape(up_weight.shape[1], up_weight.shape[0]).transpose(0, 1), up_bias)"),
    KnownMistake("down_weight_viewed", "down_weight is viewed as [F, D] without being transposed: the numbers end up in other places.",
        mlp, RESULT, "return linear(activated, down_weight.reshape(down_weight.shape[1], down_weight.shape[0]).transpose(0, 1), down_bias)"),
    # biases
    KnownMistake("up_bias_forgotten", "up_bias is not added.", mlp, UP, "hidden = linear(x, up_weight, None)"),
    KnownMistake("down_bias_forgotten", "down_bias is not added.", mlp, RESULT, "return linear(activated, down_weight, None)"),
    KnownMistake("up_bias_after_activation", "up_bias is added after the activation; it must be before.",
        mlp, UP, "hidden = linear(x, up_weight, None)", also=(Edit(mlp, ACTIVATED, "activated = gelu(hidden) if up_bias is None else gelu(hidden) + up_bias"),)),
    KnownMistake("down_bias_twice", "down_bias is added twice.", mlp, RESULT, "return linear(activated, down_weight, None if down_bias is None else 2 * down_bias)"),
    # the activation's place
    KnownMistake("activation_forgotten", "There is no activation: two linear maps in a row are one linear map.", mlp, ACTIVATED, "activated = hidden"),
    KnownMistake("activation_twice", "The activation is applied twice.", mlp, ACTIVATED, "activated = gelu(gelu(hidden))"),
    KnownMistake("activation_after_down", "The activation is applied once more, after the down projection.",
        mlp, RESULT, "return gelu(linear(activated, down_weight, down_bias))"),
    KnownMistake("activation_only_after_down", "The activation comes after the down projection; it belongs between the two.",
        mlp, ACTIVATED, "activated = hidden", also=(Edit(mlp, RESULT, "return gelu(linear(activated, down_weight, down_bias))"),)),
    KnownMistake("activation_before_up", "The activation comes before the up projection; it belongs between the two.",
        mlp, UP, "hidden = linear(gelu(x), up_weight, up_bias)", also=(Edit(mlp, ACTIVATED, "activated = hidden"),)),
    KnownMistake("squared_relu", "You use the squared ReLU; GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.relu() ** 2"),
    KnownMistake("tanh", "You use tanh; GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.tanh()"),
    KnownMistake("leaky_relu", "You use a leaky ReLU; GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.where(hidden > 0, 0.01 * hidden)"),
    KnownMistake("gated_by_itself", "The hidden values are multiplied by their activation; GPT-2 has no gate.", mlp, ACTIVATED, "activated = hidden * gelu(hidden)"),
    KnownMistake("softmax_for_activation", "There is a softmax over the hidden features; GPT-2 uses GELU.", mlp, ACTIVATED, "activated = hidden.softmax(-1)"),
    # more than a feed-forward
    KnownMistake("residual_inside", "x is added inside the mlp; the block adds it, so it counts twice there.",
        mlp, RESULT, "return x + linear(activated, down_weight, down_bias)"),
    KnownMistake("normalised_inside", "x is normalised inside the mlp; the block does that, so it happens twice there.",
        mlp, UP, "hidden = linear((x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt(), up_weight, up_bias)"),
    KnownMistake("hidden_normalised", "The hidden features are normalised; GPT-2 does not.",
        mlp, ACTIVATED, "activated = gelu((hidden - hidden.mean(-1, keepdim=True)) / (hidden.var(-1, correction=0, keepdim=True) + 1e-5).sqrt())"),
    KnownMistake("positions_for_features", "x is flattened with its axes in the wrong order, which mixes positions with features.",
        mlp, UP, "hidden = linear(x.transpose(-1, -2).reshape(x.shape) if x.dim() > 1 else x, up_weight, up_bias)"),
    KnownMistake("mean_over_positions", "The hidden features are averaged over the positions.",
        mlp, ACTIVATED, "activated = gelu(hidden.mean(-2, keepdim=True).expand(hidden.shape) if hidden.dim() > 1 else hidden)"),
    KnownMistake("hidden_in_bfloat16", "The hidden features are rounded to bfloat16: two digits are left.",
        mlp, ACTIVATED, 'activated = gelu(hidden.bfloat16().to(x.dtype))'),
    KnownMistake("dropout_left_on", "Dropout is on though you are not training: pass training=self.training, or use a module and eval().",
        mlp, RESULT, "import torch\nreturn torch.nn.functional.dropout(linear(activated, down_weight, down_bias), 0.1, training=True)",
        seen_in=("karpathy/nanoGPT#240",)),
    # gradients and state
    KnownMistake("input_detached", "x is detached: no gradient reaches what came before.", mlp, UP, "hidden = linear(x.detach(), up_weight, up_bias)"),
    KnownMistake("hidden_detached", "The hidden features are detached: up_weight receives no gradient.", mlp, ACTIVATED, "activated = gelu(hidden.detach())"),
    KnownMistake("down_weight_detached", "down_weight is used through .data or detach(): it receives no gradient.",
        mlp, RESULT, "return linear(activated, down_weight.detach(), down_bias)"),
    KnownMistake("up_weight_detached", "up_weight is used through .data or detach(): it receives no gradient.", mlp, UP, "hidden = linear(x, up_weight.detach(), up_bias)"),
    KnownMistake("written_into_x", "The result is written into x; the caller's tensor is destroyed.",
        mlp, RESULT, "result = linear(activated, down_weight, down_bias)\nreturn result if x.requires_grad else x.copy_(result)"),
    KnownMistake("hidden_kept", "The hidden features of the first call are kept for every later one of the same shape.",
        mlp, UP, "hidden = mlp.__dict__.setdefault(tuple(x.shape), linear(x, up_weight, up_bias))"),
)
