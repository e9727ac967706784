"""The token embedding and the head are one tensor, and stay one through everything that is done to a model."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st

from harness.core.case import Call, Case
from harness.core.claim import About, NotSupported, Trial, Violation, claim
from harness.core.contract import Argument, Contract, Signature, Variant, WholeModel
from harness.core.measurement import Measure, Measurement
from harness.core.values import Settings
from harness.strategies.tensors import seeds, token_ids
from reference_model.config import GPT2_LARGE, GPT2_MEDIUM, GPT2_SMALL, GPT2_XL, Config, parameter_count
from reference_model.gpt2 import initialise
from reference_model.weight_tying import weight_tying

CONFIG = (
    *(Argument(name, "integer", role="setting") for name in ("vocab_size", "context", "width", "heads", "layers")),
    Argument("norm_eps", "number", role="setting", optional=True, default=1e-5),
)
SHARED = Call("shared", {})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """All sizes differ, but for a vocabulary as large as the width in one of four: a transposed tie has the right shape there."""
    width = draw(st.sampled_from((8, 12)))
    vocab_size = width if draw(st.integers(0, 3)) == 3 else draw(st.sampled_from((11, 17)))
    config = Settings(vocab_size=vocab_size, context=7, width=width, heads=2, layers=draw(st.sampled_from((1, 3))))
    ids, targets = draw(token_ids((3, 5), vocab_size)), draw(token_ids((3, 5), vocab_size))
    batch = {"ids": ids, "targets": targets}
    calls = (Call("build", {"config": config, "seed": draw(seeds)}), Call("gradients", batch))
    return Case(calls, config.as_dict(), f"{vocab_size} ids, width {width}")


def after(trial: Trial, *calls: Call) -> Any:
    """What the last of these calls returned, made on one object."""
    return trial.run(replace(trial.case, calls=(trial.case.calls[0], *calls)), fresh=True).value


def batch_of(trial: Trial) -> dict[str, Any]:
    return dict(trial.case.calls[1].arguments)


def untied(trial: Trial) -> None:
    if trial.variant == "untied":
        trial.not_applicable()


DECLARE = (
    'If a separate head is intended, declare it:  weight_tying = "untied" under [tool.plumbline] in pyproject.toml, or '
    "--impl-variant=weight_tying=untied"
)
NEVER = f"the head is a separate tensor; GPT-2 ties it to the token embedding. {DECLARE}"


def is_one(trial: Trial, told: str, *calls: Call) -> None:
    """Whether the two are one parameter after these calls. What was never one is told as that, whatever was done."""
    untied(trial)
    found, at_first = after(trial, *calls, SHARED), after(trial, SHARED)
    if at_first["memories"] > 1:
        raise Violation(NEVER)
    if at_first["parameters"] > 1:
        raise Violation(
            "head and embedding share storage but are two parameters (only .data was assigned): each has its own gradient and "
            "optimizer state. Assign the parameter itself: head.weight = embedding.weight"
        )
    if found["parameters"] > 1 or found["memories"] > 1:
        raise Violation(f"{told} head and embedding are no longer tied")


# claims --------------------------------------------------------------------------------------------------------------


@claim("head and embedding are one parameter with one storage", broken_by="head_is_a_copy")
def one_tensor(trial: Trial) -> None:
    is_one(trial, "as built,")


@claim(
    "the shared parameter is counted once",
    broken_by="tied_parameter_counted_twice",
    max_cases=4,
    aliases=("counted_once",),
)
def parameters_counted_once(trial: Trial) -> None:
    """What is trained besides is the same with and without a head of its own: only V D more would be counted."""
    untied(trial)
    found, config = after(trial, SHARED), trial.case.calls[0].arguments["config"]
    build = trial.case.calls[0]
    larger = Settings(**{**config.as_dict(), "vocab_size": config.vocab_size + 5})
    wider = Call("build", {**build.arguments, "config": larger})
    more = trial.run(replace(trial.case, calls=(wider, SHARED)), fresh=True).value["numbers"] - found["numbers"]
    if more not in (5 * config.width, 5 * config.width + 5):  # with a bias at the head
        if found["memories"] > 1:
            raise Violation(NEVER)
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
        is_one(trial, f"moved to {dtype},", Call("cast", {"dtype": dtype}))
    is_one(trial, "moved to float64 and back,", Call("cast", {"dtype": "float64"}), Call("cast", {"dtype": "float32"}))


@claim(
    "head and embedding stay tied in a deep copy",
    broken_by="untied_by_copy",
    max_cases=4,
    aliases=("still_one_in_a_copy",),
)
def tied_after_deepcopy(trial: Trial) -> None:
    is_one(trial, "in a deep copy", Call("duplicate", {}))


@claim(
    "after saving and loading, head and embedding are tied and the logits are the same",
    broken_by="untied_by_load_assign",
    max_cases=4,
    aliases=("still_one_after_loading",),
)
def tied_after_loading(trial: Trial) -> None:
    """And what was loaded is what was saved."""
    reload = Call("reload", {})
    is_one(trial, "saved and loaded into a new model,", reload)
    same_logits(trial, "saved and loaded into a new model", reload)
    is_one(trial, "loaded after a step,", Call("step", {**batch_of(trial), "lr": 0.01}), reload)


@claim(
    "a state_dict without the head entry loads correctly",
    broken_by="missing_head_stays_random",
    max_cases=4,
    aliases=("a_file_may_hold_it_once",),
)
def loads_without_the_head_entry(trial: Trial) -> None:
    """Published files leave the head out."""
    untied(trial)
    reload = Call("reload_without_head", {})
    is_one(trial, "loaded from a file without the head,", reload)
    same_logits(trial, "loaded from a file without the head", reload)


def same_logits(trial: Trial, told: str, call: Call) -> None:
    ask = Call("logits", {"ids": batch_of(trial)["ids"]})
    before, then = after(trial, ask), after(trial, call, ask)
    if before.shape != then.shape or not bool(
        torch.allclose(before, then, rtol=1e-5, atol=1e-5 * float(before.abs().max()))
    ):
        raise Violation(f"{told} the logits differ")


@claim(
    "a write to the embedding shows in the head",
    broken_by="head_is_a_copy",
    max_cases=4,
    aliases=("writing_one_writes_the_other",),
)
def writes_are_shared(trial: Trial) -> None:
    untied(trial)
    for calls, told in (
        ((), ""),
        ((Call("reload", {}),), "after loading, "),
        ((Call("cast", {"dtype": "float64"}),), "in float64, "),
    ):
        found = after(trial, *calls, Call("add", {"amount": 1.0}))
        if not torch.equal(found["embedding"], found["head"]):
            if after(trial, SHARED)["memories"] > 1:
                raise Violation(NEVER)
            raise Violation(f"{told}a write to the embedding does not show in the head")


@claim(
    "the gradient is the sum of those as embedding and as head",
    broken_by="head_detached",
    aliases=("gradient_of_both_uses",),
    about=frozenset({About.GRADIENT}),
)
def gradient_sums_both_uses(trial: Trial) -> None:
    """The gradient of the tensor is what it gets as embedding and what it gets as head, added up."""
    untied(trial)
    found = after(trial, Call("gradients", batch_of(trial)))
    if found["embedding"] is None:
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
                raise Violation(NEVER)
            if shared["parameters"] == 1:
                raise Violation(f"the gradient lacks the contribution as {name}: is that use detached?")
    trial.close(
        found["whole"], expected.to(found["whole"].dtype), bound, "the gradient, compared with the sum over both uses,"
    )


@claim("an optimizer step updates the shared parameter once", broken_by="only_data_shared", aliases=("updated_once",))
def updated_once_per_step(trial: Trial) -> None:
    """One step of Adam moves no number by more than the learning rate; two parameters in one memory move twice."""
    untied(trial)
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
            raise Violation(NEVER)
        raise Violation("after a step, head and embedding hold different numbers")
    trial.note_error(ratio)


# what it saves -------------------------------------------------------------------------------------------------------

GPT3 = {"GPT-3 6.7B": (4096, 32, 32), "GPT-3 13B": (5120, 40, 40), "GPT-3 175B": (12288, 96, 96)}
SIZES = {
    "GPT-2 small": GPT2_SMALL,
    "GPT-2 medium": GPT2_MEDIUM,
    "GPT-2 large": GPT2_LARGE,
    "GPT-2 XL": GPT2_XL,
    **{
        name: Config(context=2048, width=width, heads=heads, layers=layers)
        for name, (width, heads, layers) in GPT3.items()
    },
}


def share_saved(trial: Trial) -> Measurement | None:
    """At the sizes that were published, for a model that counts as the formula does at the sizes of this case."""
    if trial.variant == "untied" or after(trial, SHARED)["memories"] > 1:
        return None
    shares = {name: 100 * c.vocab_size * c.width / parameter_count(c) for name, c in SIZES.items()}
    small, largest = shares["GPT-2 small"], shares["GPT-3 175B"]
    return Measurement(
        f"tying embedding and head saves {small:.0f} % of the parameters of GPT-2 small, {shares['GPT-2 XL']:.1f} % at GPT-2 XL and "
        f"{largest:.1f} % at 175 billion",
        "V D over V D + C D + L (12 D^2 + 13 D) + 2 D, for a model whose head was verified to be its embedding",
        value=round(small, 2),
        unit="% of the parameters",
        series={name: round(share, 2) for name, share in shares.items()},
    )


# how it is run on what people have --------------------------------------------------------------------------------


def of_a_module(make: Callable[..., Any]) -> type:
    """A model class as it is: its parameters under all their names, moved, saved, copied and trained as torch does."""

    class Tied:
        def __init__(self, config: Settings, seed: int) -> None:
            self.built = make(config, seed=seed)
            self.names = self.built.names_of(initialise(Config(**config.as_dict())), "token_embedding")
            self.shape = (config.vocab_size, config.width)
            self.built.module.eval()

        def live(self) -> list[torch.Tensor]:
            """The embedding, and the head where it has a name."""
            known = dict(self.built.module.named_parameters(remove_duplicate=False))
            return [known[name] for name in self.names]

        def seen(self, tensor: torch.Tensor) -> torch.Tensor:
            """Its numbers, [V, D]."""
            return (tensor if tuple(tensor.shape) == self.shape else tensor.T).detach().clone()

        def shared(self) -> dict[str, int]:
            both = self.live()
            count = sum(p.numel() for p in self.built.module.parameters() if p.requires_grad)
            return {
                "parameters": len({id(p) for p in both}),
                "memories": len({p.data_ptr() for p in both}),
                "numbers": count,
            }

        def logits(self, ids: torch.Tensor) -> Any:
            return self.built(ids).detach()

        def add(self, amount: float) -> dict[str, torch.Tensor]:
            with torch.no_grad():
                self.live()[0].add_(amount)
            return {"embedding": self.seen(self.live()[0]), "head": self.seen(self.live()[-1])}

        def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())

        def gradients(self, ids: torch.Tensor, targets: torch.Tensor) -> dict[str, Any]:
            self.built.module.zero_grad()
            self.loss(self.built(ids), targets).backward()
            grad = self.live()[0].grad
            whole = torch.zeros(self.shape) if grad is None else self.seen(grad)
            if len(self.names) < 2:
                return {"whole": whole, "embedding": None, "head": None}
            apart = {
                name: tensor.detach().clone().requires_grad_()
                for name, tensor in zip(self.names, self.live(), strict=True)
            }
            loss = self.loss(self.built.with_tensors(apart, ids), targets)
            first, *rest = torch.autograd.grad(loss, list(apart.values()), allow_unused=True)
            parts = [torch.zeros(self.shape) if g is None else self.seen(g) for g in (first, *rest)]
            return {"whole": whole, "embedding": parts[0], "head": torch.stack(parts[1:]).sum(0)}

        def step(self, ids: torch.Tensor, targets: torch.Tensor, lr: float) -> dict[str, torch.Tensor]:
            before = self.seen(self.live()[0])
            optimizer = torch.optim.Adam(self.built.module.parameters(), lr=lr)
            optimizer.zero_grad()
            self.loss(self.built(ids), targets).backward()
            optimizer.step()
            return {"before": before, "after": self.seen(self.live()[0]), "head": self.seen(self.live()[-1])}

        def cast(self, dtype: str) -> None:
            self.built.module.to(getattr(torch, dtype))

        def fresh(self) -> Any:
            other = self.built.another()
            other.module.to(self.live()[0].dtype)
            other.module.eval()
            return other

        def reload(self) -> None:
            file = io.BytesIO()
            torch.save(self.built.module.state_dict(), file)
            file.seek(0)
            other = self.fresh()
            other.module.load_state_dict(torch.load(file))
            self.built = other

        def reload_without_head(self) -> None:
            if len(self.names) < 2:
                raise NotSupported("its head has no parameter name of its own")
            state = {n: value.clone() for n, value in self.built.module.state_dict().items() if n not in self.names[1:]}
            other = self.fresh()
            other.module.load_state_dict(state, strict=False)
            self.built = other

        def duplicate(self) -> None:
            self.built = self.built.around(copy.deepcopy(self.built.module))

    return Tied


BATCH = (Argument("ids", "int[batch, time]"), Argument("targets", "int[batch, time]", role="setting"))

CONTRACT = Contract(
    name="weight_tying",
    meaning="Weight tying: token embedding and head are one parameter, with the gradients of both uses.",
    calls={
        "build": Signature(
            (Argument("config", "config", role="setting", fields=CONFIG), Argument("seed", "integer", role="setting")),
            "a model",
        ),
        "shared": Signature((), "{parameters, memories, numbers}, counted"),
        "logits": Signature((Argument("ids", "int[batch, time]"),), "float[batch, time, vocab_size]"),
        "add": Signature((Argument("amount", "number", role="setting"),), "{embedding, head}, what they hold then"),
        "gradients": Signature(BATCH, "{whole, embedding, head}"),
        "step": Signature((*BATCH, Argument("lr", "number", role="setting")), "{before, after, head}"),
        "cast": Signature((Argument("dtype", "text", role="setting"),), "nothing"),
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
    whole=WholeModel("gpt2", of_a_module),
    variants=(
        Variant(
            "untied",
            "Your head is a tensor of its own; GPT-2's is the token embedding, which saves V D parameters.",
            (),
        ),
    ),
    order=71,
    case_count=8,
    sources=("Press & Wolf 2017", "Radford et al. 2018, section 3.1", "openai/gpt-2 src/model.py"),
    measures=(Measure("share_saved", "share of the parameters that weight tying saves", share_saved),),
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
