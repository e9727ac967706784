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
    KnownMistake("input_decays_too", "What enters is multiplied by a as well: h = a (h + b x). It is h = a h + b x.", ss, STEP, "state = a * (state + entering)"),
    KnownMistake("averaged", "What enters is multiplied by 1 - a (a running average); b is all there is.", ss, STEP, "state = a * state + (1 - a) * entering"),
    KnownMistake("nothing_decays", "a is not used: the state is a running sum.", ss, STEP, "state = state + entering + 0 * a"),
    KnownMistake("nothing_remembered", "The state of before is not used.", ss, STEP, "state = entering + 0 * a"),
    KnownMistake("decays_twice", "The state is multiplied by a twice at every step.", ss, STEP, "state = a * a * state + entering"),
    KnownMistake("a_is_a_rate", "a is taken for a rate, exp(a); it is the factor itself.", ss, STEP, "state = torch.exp(a) * state + entering"),
    KnownMistake("a_is_a_negative_rate", "a is taken for a rate of decay, exp(-exp(a)); it is the factor itself.", ss, STEP, "state = torch.exp(-torch.exp(a)) * state + entering"),
    KnownMistake("a_through_a_sigmoid", "a goes through a sigmoid; it is the factor itself.", ss, STEP, "state = torch.sigmoid(a) * state + entering"),
    KnownMistake("a_without_its_sign", "The absolute value of a is used: a negative factor turns the state's sign at every step.", ss, STEP, "state = a.abs() * state + entering"),
    KnownMistake("sign_of_a_turned", "a is subtracted: h = b x - a h (as filters have it). It is h = a h + b x.", ss, STEP, "state = entering - a * state"),
    KnownMistake("euler_step", "h + a h + b x is a step of the differential equation; here a is discretised already.", ss, STEP, "state = state + a * state + entering"),
    KnownMistake("activated", "The state goes through a tanh; the recurrence is linear.", ss, STEP, "state = torch.tanh(a * state + entering)"),
    KnownMistake("states_not_apart", "The states of a channel are mixed: their mean is carried on.", ss, STEP, "state = a * state.mean(-1, keepdim=True) + entering"),
    KnownMistake("state_of_the_neighbouring_channel", "The state that is carried on is that of the channel before.", ss, STEP, "state = a * state.roll(1, 1) + entering"),
    KnownMistake("batch_not_apart", "The state is that of the batch's mean.", ss, STEP, "state = a * state.mean(0, keepdim=True) + entering"),
    # where it starts, which way it runs
    KnownMistake("starts_at_one", "The state starts at 1; it starts at 0.", ss, START, "state = torch.ones_like(driven[:, 0])"),
    KnownMistake("starts_with_the_first_input", "The first input stands in the state before the first step as well.", ss, START, "state = driven[:, 0]"),
    KnownMistake("read_before_the_step", "The state is read before the step: what enters is seen one position late.",
        ss, STEP, "before, state = state, a * state + entering", also=(Edit(ss, KEEP, "states.append(before)"),)),
    KnownMistake("from_the_end", "The sequence is run from its end: the future is seen, the past is not.",
        ss, ENTERING, "for entering in driven.flip(1).unbind(1):", also=(Edit(ss, HISTORY, "history = torch.stack(states, 1).flip(1)"),)),
    KnownMistake("both_ways", "The sequence is run both ways: the future is seen too.", ss, HISTORY, """
        history = torch.stack(states, 1)
        back = torch.zeros_like(state)
        behind = []
        for entering in driven.flip(1).unbind(1):
            back = a * back + entering
            behind.append(back)
        history = history + torch.stack(behind[::-1], 1)
        """),
    KnownMistake("result_in_reverse", "The states come out from the last to the first.", ss, HISTORY, "history = torch.stack(states[::-1], 1)"),
    KnownMistake("state_kept", "The state of the last sequence of the same sizes is where the next one starts.",
        ss, START, "state = state_space.__dict__.get(driven.shape, torch.zeros_like(driven[:, 0]))",
        also=(Edit(ss, HISTORY, "state_space.__dict__[driven.shape] = state.detach()\nhistory = torch.stack(states, 1)"),)),
    # other forms
    KnownMistake("circular_convolution", "The convolution by FFT is not padded: the end of the sequence comes back at its start. Pad to 2 T.", ss, HISTORY, CIRCULAR),
    KnownMistake("kernel_cut_off", "The kernel of the convolution is cut off after four positions.", ss, HISTORY, CUT),
    KnownMistake("divided_by_powers", "The running sum of b x / a^t, times a^t: a^t vanishes after some hundred steps, and 1 / a^t overflows.", ss, HISTORY, POWERS),
    KnownMistake("logarithm_of_a", "Powers are taken as exp(t log a): of a negative a there is no logarithm.", ss, HISTORY, LOGARITHM),
    # b, c and what comes out
    KnownMistake("b_forgotten", "x enters as it is; b is not used.", ss, DRIVEN, "driven = x.unsqueeze(-1).expand(*x.shape, b.shape[-1]) + 0 * b"),
    KnownMistake("c_forgotten", "The states are summed as they are; c is not used.", ss, RESULT, "return history.sum(-1) + 0 * c.sum()"),
    KnownMistake("states_averaged", "The states are averaged; they are summed.", ss, RESULT, "return (history * c).mean(-1)"),
    KnownMistake("first_state_alone", "Only the first state of each channel comes out.", ss, RESULT, "return (history * c)[..., 0]"),
    KnownMistake("input_added", "x itself is added to the result (a skip connection); here there is none.", ss, RESULT, "return (history * c).sum(-1) + x"),
    KnownMistake("divided_by_the_length", "The result is divided by the length of the sequence.", ss, RESULT, "return (history * c).sum(-1) / x.shape[1]"),
    # precision and gradients
    KnownMistake("state_in_bfloat16", "The state is kept in bfloat16: two digits are left, and they add up.", ss, STEP, "state = (a * state + entering).to(torch.bfloat16).to(x.dtype)"),
    KnownMistake("state_detached", "The state is detached at every step: no gradient flows to earlier positions.", ss, STEP, "state = a * state.detach() + entering"),
    KnownMistake("a_detached", "a is detached: it receives no gradient.", ss, STEP, "state = a.detach() * state + entering"),
)
