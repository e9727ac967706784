"""Known mistakes in a diagonal linear recurrence."""

from harness.core.mistake import Edit, KnownMistake
from reference_model.state_space import state_space

DRIVEN = "driven = x.unsqueeze(-1) * b"
START = "state = torch.zeros_like(driven[:, 0])"
ENTERING = "for entering in driven.unbind(1):"
STEP = "state = a * state + entering"
KEEP = "states.append(state)"
HISTORY = "history = torch.stack(states, 1)"
RESULT = "return (history * c).sum(-1)"
ss = state_space

POWERS = """
powers = a ** torch.arange(1, x.shape[1] + 1, dtype=a.dtype, device=x.device).reshape(-1, 1, 1)
history = torch.cumsum(driven / powers, 1) * powers
"""
CIRCULAR = """
kernel = a.unsqueeze(0) ** torch.arange(x.shape[1], dtype=a.dtype, device=x.device).reshape(-1, 1, 1)
history = sum(kernel[gap] * driven.roll(gap, 1) for gap in range(x.shape[1]))
"""
CUT = """
kernel = a.unsqueeze(0) ** torch.arange(x.shape[1], dtype=a.dtype, device=x.device).reshape(-1, 1, 1)
history = torch.stack([sum(kernel[gap] * driven[:, t - gap] for gap in range(min(t + 1, 4))) for t in range(x.shape[1])], 1)
"""
LOGARITHM = """
gap = torch.arange(x.shape[1], device=x.device)[:, None] - torch.arange(x.shape[1], device=x.device)
decay = torch.exp(torch.log(a)[:, :, None, None] * gap.clamp(min=0)).masked_fill(gap < 0, 0.0)
history = torch.einsum("dnts,bsdn->btdn", decay, driven)
"""

MISTAKES = (
    # the step
    KnownMistake("input_decays_too", "The input is multiplied by a too: h = a (h + b x). It is h = a h + b x.", ss, STEP, "state = a * (state + entering)"),
    KnownMistake("exponential_moving_average", "The input is multiplied by 1 - a (an exponential moving average). Only b scales the input.", ss, STEP, "state = a * state + (1 - a) * entering", aliases=("averaged",)),
    KnownMistake("a_ignored", "a is not used: the state is a cumulative sum.", ss, STEP, "state = state + entering + 0 * a", aliases=("nothing_decays",)),
    KnownMistake("previous_state_ignored", "The previous state is not used.", ss, STEP, "state = entering + 0 * a", aliases=("nothing_remembered",)),
    KnownMistake("decays_twice", "The state is multiplied by a twice in every step.", ss, STEP, "state = a * a * state + entering"),
    KnownMistake("a_exponentiated", "a is treated as a logarithm: the state is multiplied by exp(a). a is the factor itself.", ss, STEP, "state = torch.exp(a) * state + entering", aliases=("a_is_a_rate",)),
    KnownMistake("a_as_log_decay_rate", "a is treated as the logarithm of a decay rate: the factor is exp(-exp(a)). a is the factor itself.", ss, STEP, "state = torch.exp(-torch.exp(a)) * state + entering", aliases=("a_is_a_negative_rate",)),
    KnownMistake("a_through_a_sigmoid", "a is passed through a sigmoid. It is the factor itself.", ss, STEP, "state = torch.sigmoid(a) * state + entering"),
    KnownMistake("absolute_value_of_a", "The absolute value of a is used. A negative a must flip the sign of the state in every step.", ss, STEP, "state = a.abs() * state + entering", aliases=("a_without_its_sign",)),
    KnownMistake("sign_of_a_flipped", "a h is subtracted: h = b x - a h, the convention of filters. It is h = a h + b x.", ss, STEP, "state = entering - a * state", aliases=("sign_of_a_turned",)),
    KnownMistake("euler_step", "h + a h + b x is an Euler step of the differential equation. Here a is already discretised: h = a h + b x.", ss, STEP, "state = state + a * state + entering"),
    KnownMistake("tanh_on_the_state", "The state is passed through a tanh. The recurrence is linear.", ss, STEP, "state = torch.tanh(a * state + entering)", aliases=("activated",)),
    KnownMistake("states_averaged_in_the_recurrence", "The states of a channel are mixed: their mean is carried to the next step.", ss, STEP, "state = a * state.mean(-1, keepdim=True) + entering", aliases=("states_not_apart",)),
    KnownMistake("state_of_the_neighbouring_channel", "Each channel continues from the state of the previous channel. It must use its own.", ss, STEP, "state = a * state.roll(1, 1) + entering"),
    KnownMistake("state_averaged_over_the_batch", "The state is averaged over the batch. Every row has its own.", ss, STEP, "state = a * state.mean(0, keepdim=True) + entering", aliases=("batch_not_apart",)),
    # initial state and direction
    KnownMistake("state_starts_at_one", "The initial state is 1. It is 0.", ss, START, "state = torch.ones_like(driven[:, 0])", aliases=("starts_at_one",)),
    KnownMistake("state_starts_at_the_first_input", "The initial state is the first input, which then counts twice. It is 0.", ss, START, "state = driven[:, 0]", aliases=("starts_with_the_first_input",)),
    KnownMistake("state_read_before_the_update", "The state is read before its update: each input appears one position late.",
        ss, STEP, "before, state = state, a * state + entering", also=(Edit(ss, KEEP, "states.append(before)"),), aliases=("read_before_the_step",)),
    KnownMistake("scan_from_the_end", "The recurrence runs from the end: it sees later positions and not earlier ones.",
        ss, ENTERING, "for entering in driven.flip(1).unbind(1):", also=(Edit(ss, HISTORY, "history = torch.stack(states, 1).flip(1)"),), aliases=("from_the_end",)),
    KnownMistake("bidirectional_scan", "The recurrence runs in both directions: it sees later positions too.", ss, HISTORY, """
        history = torch.stack(states, 1)
        back = torch.zeros_like(state)
        behind = []
        for entering in driven.flip(1).unbind(1):
            back = a * back + entering
            behind.append(back)
        history = history + torch.stack(behind[::-1], 1)
        """, aliases=("both_ways",)),
    KnownMistake("output_reversed", "The outputs are returned from last to first.", ss, HISTORY, "history = torch.stack(states[::-1], 1)", aliases=("result_in_reverse",)),
    KnownMistake("state_carried_across_calls", "The final state of the previous call with the same shape is the initial state of the next call. It must start at 0.",
        ss, START, "state = state_space.__dict__.get(driven.shape, torch.zeros_like(driven[:, 0]))",
        also=(Edit(ss, HISTORY, "state_space.__dict__[driven.shape] = state.detach()\nhistory = torch.stack(states, 1)"),), aliases=("state_kept",)),
    # other forms
    KnownMistake("circular_convolution", "The FFT convolution is not padded: the end of the sequence wraps around to its start. Pad to 2 T.", ss, HISTORY, CIRCULAR),
    KnownMistake("kernel_truncated", "The convolution kernel is truncated after four positions.", ss, HISTORY, CUT, aliases=("kernel_cut_off",)),
    KnownMistake("cumsum_divided_by_powers", "The result is a^t times the cumulative sum of b x / a^t. a^t underflows after some hundred steps, and 1 / a^t overflows.", ss, HISTORY, POWERS, aliases=("divided_by_powers",)),
    KnownMistake("logarithm_of_a", "Powers are computed as exp(t log a). A negative a has no logarithm.", ss, HISTORY, LOGARITHM),
    # b, c and the output
    KnownMistake("b_forgotten", "b is not used: x enters the state directly.", ss, DRIVEN, "driven = x.unsqueeze(-1).expand(*x.shape, b.shape[-1]) + 0 * b"),
    KnownMistake("c_forgotten", "c is not used: the states are summed without weights.", ss, RESULT, "return history.sum(-1) + 0 * c.sum()"),
    KnownMistake("states_averaged", "The states are averaged. Sum them.", ss, RESULT, "return (history * c).mean(-1)"),
    KnownMistake("only_the_first_state", "Only the first state of each channel is returned. Sum all states.", ss, RESULT, "return (history * c)[..., 0]", aliases=("first_state_alone",)),
    KnownMistake("skip_connection_added", "x is added to the result (a skip connection). There is none here.", ss, RESULT, "return (history * c).sum(-1) + x", aliases=("input_added",)),
    KnownMistake("divided_by_the_length", "The result is divided by the sequence length.", ss, RESULT, "return (history * c).sum(-1) / x.shape[1]"),
    # precision and gradients
    KnownMistake("state_in_bfloat16", "The state is stored in bfloat16, which keeps about two significant digits, and the errors accumulate.", ss, STEP, "state = (a * state + entering).to(torch.bfloat16).to(x.dtype)"),
    KnownMistake("state_detached", "The state is detached in every step: earlier positions receive no gradient.", ss, STEP, "state = a * state.detach() + entering"),
    KnownMistake("a_detached", "a is detached: it receives no gradient.", ss, STEP, "state = a.detach() * state + entering"),
)
