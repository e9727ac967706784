"""Right ways to save and load a run; none of them may fail a claim."""

import copy
import io
import pickle

import torch

from specs.shared.checkpoint_functions import separate_functions


class CheckpointInMemory:
    """Copies in a dictionary, by the name of the path."""

    def __init__(self):
        self.kept = {}

    def save(self, path, model, optimizer, scheduler=None, generator=None, step=0):
        parts = (model, optimizer, scheduler)
        states = [None if part is None else copy.deepcopy(part.state_dict()) for part in parts]
        self.kept[str(path)] = (states, None if generator is None else generator.get_state().clone(), step)

    def load(self, path, model, optimizer, scheduler=None, generator=None):
        states, random, step = self.kept[str(path)]
        for part, state in zip((model, optimizer, scheduler), states, strict=True):
            if part is not None:
                part.load_state_dict(copy.deepcopy(state))
        if generator is not None:
            generator.set_state(random)
        return {"step": step}


class CheckpointOfNumpyArrays:
    """Arrays in a pickle; parameters are copied in place by name; the state of the run comes back in a tuple."""

    def save(self, path, model, optimizer, scheduler=None, generator=None, step=0):
        buffer = io.BytesIO()
        torch.save([optimizer.state_dict(), scheduler and scheduler.state_dict()], buffer)
        arrays = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
        random = generator and generator.get_state().numpy().tobytes()
        with open(path, "wb") as file:
            pickle.dump({"arrays": arrays, "rest": buffer.getvalue(), "random": random, "step": step}, file)

    def load(self, path, model, optimizer, scheduler=None, generator=None):
        with open(path, "rb") as file:
            record = pickle.load(file)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(torch.from_numpy(record["arrays"][name]))
        of_optimizer, of_scheduler = torch.load(io.BytesIO(record["rest"]))
        optimizer.load_state_dict(of_optimizer)
        if scheduler is not None:
            scheduler.load_state_dict(of_scheduler)
        if generator is not None:
            generator.set_state(torch.frombuffer(bytearray(record["random"]), dtype=torch.uint8))
        return model, optimizer, record["step"]


def save_checkpoint(model, optimizer, iteration, out):
    """CS336's order of arguments: no schedule, no generator."""
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iteration": iteration}, out)


def load_checkpoint(src, model, optimizer):
    """CS336's order of arguments."""
    record = torch.load(src)
    model.load_state_dict(record["model"])
    optimizer.load_state_dict(record["optimizer"])
    return record["iteration"]


VARIANTS = {
    "checkpoint in memory": {"checkpoint": CheckpointInMemory},
    "checkpoint of numpy arrays": {"checkpoint": CheckpointOfNumpyArrays},
    "checkpoint of cs336": {"checkpoint": separate_functions("load_checkpoint", save_checkpoint)},
}
