"""The token embedding and the head are one tensor, and stay one whatever is done to the model."""

from __future__ import annotations

from dataclasses import replace

import torch

from harness.core.case import Call
from harness.core.claim import About, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, WholeModel
from harness.core.measurement import Measure
from harness.core.values import Settings
from reference_model.weight_tying import weight_tying
from specs.shared.model_forms import TIED, UNTIED
from specs.shared.tied_module import module_adapter
from specs.shared.weight_tying_cases import (
    CONFIG,
    SEPARATE_HEAD,
    SHARED,
    after,
    batch_of,
    cases,
    require_tied,
    same_logits,
    share_saved,
    skip_if_untied,
)


@claim("head and embedding are one parameter with one storage", broken_by="head_is_a_copy")
def one_tensor(trial: Trial) -> None:
    require_tied(trial, "as built,")


@claim(
    "the shared parameter is counted once",
    broken_by="tied_parameter_counted_twice",
    max_cases=4,
    aliases=("counted_once",),
)
def parameters_counted_once(trial: Trial) -> None:
    """All other parameters are the same with and without a separate head, which would add V D."""
    skip_if_untied(trial)
    found, config = after(trial, SHARED), trial.case.calls[0].arguments["config"]
    build = trial.case.calls[0]
    larger = Settings(**{**config.as_dict(), "vocab_size": config.vocab_size + 5})
    wider = Call("build", {**build.arguments, "config": larger})
    more = trial.run(replace(trial.case, calls=(wider, SHARED)), fresh=True).value["numbers"] - found["numbers"]
    if more not in (5 * config.width, 5 * config.width + 5):  # with a bias at the head
        if found["memories"] > 1:
            raise Violation(SEPARATE_HEAD, form=UNTIED)
        twice = ": it is counted twice" if more >= 10 * config.width else ""
        raise Violation(f"5 more ids add {more} trainable numbers; a tied model adds {5 * config.width}{twice}")


@claim(
    "head and embedding stay tied when the model changes dtype",
    broken_by="untied_by_cast",
    max_cases=4,
    aliases=("still_one_in_another_dtype",),
)
def tied_after_dtype_change(trial: Trial) -> None:
    for dtype in ("float64", "bfloat16", "float16"):
        require_tied(trial, f"moved to {dtype},", Call("cast", {"dtype": dtype}))
    require_tied(
        trial, "moved to float64 and back,", Call("cast", {"dtype": "float64"}), Call("cast", {"dtype": "float32"})
    )


@claim(
    "head and embedding stay tied in a deep copy",
    broken_by="untied_by_copy",
    max_cases=4,
    aliases=("still_one_in_a_copy",),
)
def tied_after_deepcopy(trial: Trial) -> None:
    require_tied(trial, "in a deep copy", Call("duplicate", {}))


@claim(
    "after saving and loading, head and embedding are tied and the logits are the same",
    broken_by="untied_by_load_assign",
    max_cases=4,
    aliases=("still_one_after_loading",),
)
def tied_after_loading(trial: Trial) -> None:
    """The logits are the same before and after."""
    reload = Call("reload", {})
    require_tied(trial, "saved and loaded into a new model,", reload)
    same_logits(trial, "saved and loaded into a new model", reload)
    require_tied(trial, "loaded after a step,", Call("step", {**batch_of(trial), "lr": 0.01}), reload)


@claim(
    "a state_dict without the head entry loads correctly",
    broken_by="missing_head_stays_random",
    max_cases=4,
    aliases=("a_file_may_hold_it_once",),
)
def loads_without_the_head_entry(trial: Trial) -> None:
    """Published files leave the head out."""
    skip_if_untied(trial)
    reload = Call("reload_without_head", {})
    require_tied(trial, "loaded from a file without the head,", reload)
    same_logits(trial, "loaded from a file without the head", reload)


@claim(
    "a write to the embedding shows in the head",
    broken_by="head_is_a_copy",
    max_cases=4,
    aliases=("writing_one_writes_the_other",),
)
def writes_are_shared(trial: Trial) -> None:
    skip_if_untied(trial)
    for calls, when, dtype in (
        ((), "", None),
        ((Call("reload", {}),), "after loading, ", None),
        ((Call("cast", {"dtype": "float64"}),), "in float64, ", torch.float64),
    ):
        found = after(trial, *calls, Call("add", {"amount": 1.0}))
        if found["embedding"].dtype != (dtype or found["embedding"].dtype):
            raise Violation(f"moved to {dtype}, the embedding is {found['embedding'].dtype}")
        if not torch.equal(found["embedding"], found["head"]):
            if after(trial, SHARED)["memories"] > 1:
                raise Violation(SEPARATE_HEAD, form=UNTIED)
            raise Violation(f"{when}a write to the embedding does not show in the head")


@claim(
    "the gradient is the sum of those as embedding and as head",
    broken_by="head_detached",
    aliases=("gradient_of_both_uses",),
    about=frozenset({About.GRADIENT}),
)
def gradient_sums_both_uses(trial: Trial) -> None:
    """The gradient is the sum of the gradients as embedding and as head."""
    skip_if_untied(trial)
    found = after(trial, Call("gradients", batch_of(trial)))
    if not len(found["embedding"]):
        raise NotSupported("its head has no parameter name of its own: the two uses cannot be separated")
    expected = found["embedding"].double() + found["head"].double()
    for name in ("embedding", "head"):
        if not bool(found[name].any()):
            raise Violation(f"no gradient reaches the tensor as {name}: is that use detached?")
    bound = (
        64 * torch.finfo(found["whole"].dtype).eps * float(found["embedding"].abs().max() + found["head"].abs().max())
    )
    for name, part in (("embedding", found["head"]), ("head", found["embedding"])):
        if float((found["whole"].double() - part.double()).abs().max()) <= bound < float((expected - part).abs().max()):
            shared = after(trial, SHARED)
            if shared["memories"] > 1:
                raise Violation(SEPARATE_HEAD, form=UNTIED)
            if shared["parameters"] == 1:
                raise Violation(f"the gradient lacks the contribution as {name}: is that use detached?")
    trial.close(
        found["whole"], expected.to(found["whole"].dtype), bound, "the gradient, compared with the sum over both uses,"
    )


@claim("an optimizer step updates the shared parameter once", broken_by="only_data_shared", aliases=("updated_once",))
def updated_once_per_step(trial: Trial) -> None:
    """One step of Adam moves no number by more than the learning rate; two parameters in one memory move twice."""
    skip_if_untied(trial)
    lr = 0.01
    found = after(trial, Call("step", {**batch_of(trial), "lr": lr}))
    moved = found["after"].double() - found["before"].double()
    ratio = float(moved.abs().max()) / lr / 1.01
    if ratio > 1:
        furthest = float(moved.abs().max())
        raise Violation(
            f"one step of Adam with a learning rate of {lr} moves an entry by {furthest:.4g}: it is updated twice",
            error=ratio,
        )
    if not torch.equal(found["after"], found["head"]):
        if after(trial, SHARED)["memories"] > 1:
            raise Violation(SEPARATE_HEAD, form=UNTIED)
        raise Violation("after a step, head and embedding hold different numbers")
    trial.note_error(ratio)


BATCH = (Argument("ids", "int[batch, time]"), Argument("targets", "int[batch, time]", role="setting"))

CONTRACT = Contract(
    name="weight_tying",
    meaning="Weight tying: token embedding and head are one parameter, with the gradients of both uses.",
    calls={
        "build": Signature(
            (Argument("config", "config", role="setting", fields=CONFIG), Argument("seed", "int", role="setting")),
            "a model",
        ),
        "shared": Signature((), "{parameters, memories, numbers}, counted"),
        "logits": Signature((Argument("ids", "int[batch, time]"),), "float[batch, time, vocab_size]"),
        "add": Signature((Argument("amount", "float", role="setting"),), "{embedding, head}, what they hold then"),
        "gradients": Signature(BATCH, "{whole, embedding, head}"),
        "step": Signature((*BATCH, Argument("lr", "float", role="setting")), "{before, after, head}"),
        "cast": Signature((Argument("dtype", "str", role="setting"),), "nothing"),
        "reload": Signature((), "nothing"),
        "reload_without_head": Signature((), "nothing"),
        "duplicate": Signature((), "nothing"),
    },
    reference=weight_tying,
    cases=cases,
    differentiable=False,
    half_precision=False,
    agrees=False,
    optional_methods=frozenset({"reload_without_head", "duplicate", "cast"}),
    whole=WholeModel(("gpt2", "llama"), module_adapter),
    variants=TIED,
    order=71,
    case_count=8,
    sources=("Press & Wolf 2017", "Radford et al. 2018, section 3.1", "openai/gpt-2 src/model.py"),
    measures=(Measure("share_saved", "share of the parameters that a head of its own would add", share_saved),),
    claims=(
        one_tensor,
        parameters_counted_once,
        tied_after_dtype_change,
        tied_after_deepcopy,
        tied_after_loading,
        loads_without_the_head_entry,
        writes_are_shared,
        gradient_sums_both_uses,
        updated_once_per_step,
    ),
)
