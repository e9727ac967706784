"""Small modules with one function, ``gelu``: honest ones, and ones that crash, hang or cheat. Each with what is right.

``top`` is run when the module is imported, ``first`` before the right answer is computed, ``answer`` instead of it.
Nothing here is harmful beyond its own processes at the level that it is judged at.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harness.isolation.level import Level

RIGHT = "0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))"


class Outcome(Enum):
    """What is right."""

    PASSES = "every check says what it says of the plain function"
    FAILS = "it does not agree with the reference: failed, crashed, timed out or not checked, and the run goes on"
    REFUSED = "nothing is judged, and the message says why"
    HARMLESS = "nothing is judged, or, where the attempt is refused, what is right is judged without it"


@dataclass(frozen=True)
class Module:
    """One module. ``level``: the lowest at which the outcome is promised."""

    name: str
    outcome: Outcome
    top: str = ""
    first: str = "pass"
    answer: str = RIGHT
    level: Level = Level.PROCESS
    seconds: float = 20.0

    @property
    def text(self) -> str:
        """The file."""
        body = "\n".join(f"    {line}" for line in self.first.splitlines())
        return f"import math\nimport torch\n{self.top}\ndef gelu(x):\n{body}\n    return {self.answer}\n"


P, F, R, H = Outcome.PASSES, Outcome.FAILS, Outcome.REFUSED, Outcome.HARMLESS
ZEROS = "torch.zeros_like(x)"
END_ITS_PARENT = """import os
import signal
if b"harness.isolation" in open(f"/proc/{os.getppid()}/cmdline", "rb").read():
    os.kill(os.getppid(), signal.SIGKILL)"""
"""Its parent is the process that forked it, and nothing else."""

TO_THE_JUDGE = """import os
import struct
def send(what):
    for end in range(3, 9):
        try:
            os.write(end, what)
        except OSError:
            pass"""
"""Whatever of its descriptors leads to the judge is written to."""

HONEST = (
    Module("plain", P),
    Module("noisy_import", P, "import sys\nprint('x' * 300_000)\nprint('y' * 300_000, file=sys.stderr)"),
    Module("prints_in_every_call", P, first="print('called', x.shape)"),
    Module("a_thread", P, "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"),
    Module(
        "a_pool", P, "from concurrent.futures import ThreadPoolExecutor\nPOOL = ThreadPoolExecutor(2)\nPOOL.submit(int)"
    ),
    Module(
        "a_cache",
        P,
        "from functools import lru_cache\n@lru_cache\ndef scale(dtype):\n"
        "    return torch.tensor(2 / math.pi, dtype=dtype).sqrt()",
    ),
    Module("slow_import", P, "import time\ntime.sleep(0.3)"),
    Module("an_exit_handler", P, "import atexit\natexit.register(print, 'bye')"),
    Module("a_signal_handler", P, "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"),
    Module("warns", P, "import warnings\nwarnings.warn('old')", "import warnings\nwarnings.warn('called')"),
    Module("logs", P, "import logging\nlogging.basicConfig(level=10)\nLOG = logging.getLogger()", "LOG.info('called')"),
    Module("reads_its_own_file", P, "TEXT = open(__file__).read()"),
    Module(
        "writes_a_temporary_file",
        P,
        "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as file:\n    file.write('x')\n    file.flush()",
    ),
    Module("writes_beside_nothing", P, "open('notes.txt', 'w').write('x')\nassert open('notes.txt').read() == 'x'"),
    Module("copies_a_file", P, "import shutil\nshutil.copy(__file__, 'copy.py')"),
    Module("views", P, first="x = x.reshape(-1).view(-1).reshape(x.shape)"),
    Module("half_precision_inside_nothing", P, "ONE = (torch.ones(3).half() + 1).float()"),
    Module("large_table", P, "TABLE = torch.zeros(20_000_000)"),
    Module("reads_nothing_from_the_terminal", P, "import sys\nassert sys.stdin.read() == ''"),
    Module("a_main_part", P, "if __name__ == '__main__':\n    raise SystemExit(1)"),
    Module(
        "own_autograd_function",
        P,
        "class Cube(torch.autograd.Function):\n"
        "    generate_vmap_rule = True\n"
        "    @staticmethod\n    def forward(x):\n        return x * x * x\n"
        "    @staticmethod\n    def setup_context(ctx, inputs, output):\n        ctx.save_for_backward(*inputs)\n"
        "    @staticmethod\n    def backward(ctx, g):\n        (x,) = ctx.saved_tensors\n        return g * 3 * x * x",
        answer="0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * Cube.apply(x))))",
    ),
)

AT_IMPORT = (
    Module("leaves_at_import", R, "import os\nos._exit(0)"),
    Module("leaves_at_import_with_one", R, "import os\nos._exit(1)"),
    Module("aborts_at_import", R, "import os\nos.abort()"),
    Module("kills_itself_at_import", R, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
    Module("bad_memory_at_import", R, "import ctypes\nctypes.string_at(0)"),
    Module("becomes_another_program", H, "import os\nos.execv('/bin/true', ['true'])"),
    Module("closes_everything", R, "import os\nos.closerange(0, 4096)"),
    Module(
        "raises_at_import", R, "def fail():\n    raise RuntimeError('no')\nVALUE = fail()\nclass Uses:\n    v = VALUE"
    ),
    Module(
        "garbage_to_the_judge",
        R,
        f"{TO_THE_JUDGE}\nsend(b'\\xff' * 64)",
    ),
    Module(
        "forged_reply",
        R,
        f'{TO_THE_JUDGE}\nBODY = b\'{{"body": {{"reply": null, "number": 1}}, "memory": []}}\'\n'
        "send(struct.pack('<QQ', len(BODY), 0) + BODY)",
    ),
    Module(
        "huge_frame",
        R,
        f"{TO_THE_JUDGE}\nsend(struct.pack('<QQ', 1 << 60, 1 << 60))",
    ),
    Module("its_parent_is_ended", H, f"{END_ITS_PARENT}\nimport time\ntime.sleep(5)"),
)

IN_A_CALL = (
    Module("leaves", F, first="import os\nos._exit(0)"),
    Module("exits", F, first="raise SystemExit(0)"),
    Module("interrupts", F, first="raise KeyboardInterrupt"),
    Module("ends_its_generator", F, first="raise GeneratorExit"),
    Module("skips", F, "import pytest", "pytest.skip('not today')"),
    Module("ends_pytest", F, "import pytest", "pytest.exit('done', 0)"),
    Module("is_to_do_on_purpose", F, first="if x.numel() >= 0:\n    raise NotImplementedError"),
    Module("borrows_not_supported", F, "from harness.core.claim import NotSupported", "raise NotSupported('no')"),
    Module(
        "borrows_not_applicable",
        F,
        "import harness.core.claim as c",
        "raise getattr(c, 'NotApplicable', c.NotSupported)('no')",
    ),
    Module("bad_memory", F, first="import ctypes\nctypes.string_at(0)"),
    Module("aborts", F, first="import os\nos.abort()"),
    Module(
        "leaves_in_a_thread",
        F,
        first="import os, threading\nt = threading.Thread(target=os._exit, args=(0,))\nt.start()\nt.join()",
    ),
    Module(
        "leaves_in_a_destructor",
        F,
        "import os\nclass Bomb:\n    def __del__(self):\n        os._exit(0)",
        "bomb = Bomb()\ndel bomb",
    ),
    Module(
        "leaves_at_an_alarm",
        F,
        "import os, signal",
        "signal.signal(signal.SIGALRM, lambda *a: os._exit(0))\nsignal.raise_signal(signal.SIGALRM)",
    ),
    Module("leaves_its_connection", F, first="import os\nos.closerange(3, 64)"),
    Module("never_ends", F, first="while True:\n    pass", seconds=0.05),
    Module(
        "catches_every_end",
        F,
        first="try:\n    while True:\n        pass\nexcept BaseException:\n    raise ValueError('caught')",
        seconds=0.05,
    ),
    Module("recursion", F, "def deep(x):\n    return deep(x) + 1", answer="deep(x)"),
    Module("flood", F, first="print('x' * 20_000_000)", answer=ZEROS),
    Module("flood_of_errors", F, first="import sys\nsys.stderr.write('x' * 20_000_000)", answer=ZEROS),
    Module("huge_message", F, first="raise ValueError('x' * 100_000_000)"),
    Module("steers_the_terminal", F, first="raise ValueError('\\x1b[2J\\x1b[31m 41 passed \\u202e')"),
    Module("its_parent_is_ended_in_a_call", F, first=END_ITS_PARENT, answer=ZEROS),
    Module("a_child_goes_on", F, first="import os\nif os.fork():\n    os._exit(0)", answer=ZEROS),
    Module(
        "a_child_stays_behind",
        F,
        first="import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\n    os._exit(0)",
        answer=ZEROS,
    ),
)

ANSWERS = (
    Module("zeros", F, answer=ZEROS),
    Module("its_input", F, answer="x"),
    Module("a_constant", F, answer="torch.full_like(x, 0.841192)"),
    Module("not_a_number", F, answer="x * float('nan')"),
    Module("nothing", F, answer="None"),
    Module("a_text", F, answer="'passed'"),
    Module("a_list", F, answer=f"({RIGHT}).tolist()"),
    Module(
        "equals_everything",
        F,
        "class Yes:\n    def __eq__(self, other):\n        return True\n    __hash__ = None",
        answer="Yes()",
    ),
    Module(
        "a_tensor_that_agrees",
        F,
        "class Yes(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
        "        return True",
        answer="torch.zeros_like(x).as_subclass(Yes)",
    ),
    Module("no_repr", F, "class No:\n    def __repr__(self):\n        raise SystemExit", answer="No()"),
    Module("a_name_that_is_code", F, answer="type('__import__(\"os\")._exit(0)', (), {})()"),
    Module("a_circle", F, first="found = []\nfound.append(found)", answer="found"),
    Module("very_deep", F, first="found = x\nfor _ in range(100_000):\n    found = [found]", answer="found"),
    Module("endless_stride", F, answer="torch.zeros(1).expand(1 << 40)"),
    Module("without_memory", F, answer="torch.empty(x.shape, device='meta')"),
    Module("sparse", F, answer="torch.zeros_like(x).to_sparse()"),
    Module("a_generator", F, answer="(v for v in x)"),
    Module("the_other_way_round", F, answer=f"({RIGHT}).flip(-1)"),
    Module("another_shape", F, answer=f"({RIGHT}).unsqueeze(0)"),
    Module("right_sometimes", F, "SEEN = []", "SEEN.append(1)\nif len(SEEN) > 3:\n    x = x * 2"),
    Module("right_for_small_inputs", F, answer=f"({RIGHT}) if x.numel() < 3 else {ZEROS}"),
    Module(
        "right_in_a_test", F, "import sys, os", answer=f"({RIGHT}) if 'PYTEST_CURRENT_TEST' in os.environ else {ZEROS}"
    ),
)

TAMPERS = (
    Module(
        "everything_is_close", F, "torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True", answer=ZEROS
    ),
    Module(
        "swaps_the_comparison",
        F,
        "import harness.numerics.compare as c\nfor name, value in list(vars(c).items()):\n"
        "    if callable(value):\n        setattr(c, name, lambda *a, **k: None)",
        answer=ZEROS,
    ),
    Module(
        "swaps_the_executor",
        F,
        "from harness.execution.executor import Executor\nfrom harness.core.implementation import Answer\n"
        "Executor.run = lambda self, request: Answer((request.case.calls[-1].arguments['x'],))",
    ),
    Module(
        "swaps_the_packing",
        F,
        "import harness.isolation.worker as w\nw.packed_answer = lambda packer, answer: {'status': 'passed'}",
    ),
    Module("swaps_json", R, "import json\njson.dumps = lambda *a, **k: '{}'"),
    Module(
        "no_claims_any_more",
        F,
        "import harness.claims, sys\nfor n in [n for n in sys.modules if 'claims' in n]:\n    del sys.modules[n]",
        answer=ZEROS,
    ),
    Module(
        "looks_for_right_values",
        F,
        "import gc",
        "best = torch.zeros_like(x)\nfor one in gc.get_objects():\n"
        "    if type(one) is torch.Tensor and one.shape == x.shape and one is not x and not torch.equal(one, x):\n"
        "        best = one.to(x.dtype)",
        "best",
    ),
    Module(
        "looks_at_its_callers",
        F,
        "import sys",
        "frame, found = sys._getframe(), []\nwhile frame:\n"
        "    found += [v for n, v in frame.f_locals.items() if 'expected' in n or 'exact' in n]\n"
        "    frame = frame.f_back\nfound = [f for f in found if torch.is_tensor(f)]",
        f"found[0] if found else {ZEROS}",
    ),
    Module("asks_the_contract", F, "import specs.gelu", answer="specs.gelu.CONTRACT.reference(x)"),
    Module("asks_the_package", F, "import reference_model", answer="reference_model.gelu(x)"),
    Module("asks_the_file", F, "import reference_model.gelu as g", answer="g.gelu(x)"),
    Module(
        "asks_a_neighbour",
        F,
        "from reference_model.mlp import mlp",
        answer="mlp(x, *[torch.eye(x.shape[-1]), 0] * 2)",
    ),
    Module(
        "finds_the_file",
        F,
        "import harness, pathlib, importlib.util\nROOT = pathlib.Path(harness.__path__[0]).parent\ndef stolen():\n"
        "    spec = importlib.util.spec_from_file_location('stolen', ROOT / 'reference_model' / 'gelu.py')\n"
        "    module = importlib.util.module_from_spec(spec)\n    spec.loader.exec_module(module)\n"
        "    return module.gelu",
        answer="stolen()(x)",
        level=Level.SANDBOX,
    ),
    Module("excuses_itself", F, "PLUMBLINE = {'variants': {}, 'half_precision': False}", answer=ZEROS),
    Module(
        "other_settings",
        F,
        "torch.set_default_dtype(torch.float16)\ntorch.set_grad_enabled(False)\ntorch.set_flush_denormal(True)",
        answer=ZEROS,
    ),
    Module("no_builtins", F, "import builtins", "del builtins.isinstance", ZEROS),
    Module("signals_others", F, first="import os\nos.kill(os.getppid(), 0)", level=Level.SANDBOX),
    Module(
        "reads_the_memory_of_others",
        F,
        first="import os\nopen(f'/proc/{os.getppid()}/mem', 'rb').close()",
        level=Level.SANDBOX,
    ),
    Module("calls_home", F, "import socket", "socket.create_connection(('127.0.0.1', 9), 1)", level=Level.SANDBOX),
    Module("starts_a_program", F, "import subprocess", "subprocess.run(['true'], check=True)", level=Level.SANDBOX),
    Module("forks_without_end", F, "import os", "while True:\n    os.fork()", level=Level.SANDBOX),
    Module("reads_a_neighbour", F, first="open('/etc/passwd').read()", level=Level.SANDBOX),
    Module("writes_beside_itself", F, first="open(__file__, 'a').write('# mine')", level=Level.SANDBOX),
    Module("leaves_a_file_for_others", F, first="open('/dev/shm/plumbline-left', 'w').write('x')", level=Level.SANDBOX),
    Module("takes_all_memory", F, "HELD = []", "while True:\n    HELD.append(bytearray(1 << 28))", level=Level.LIMITS),
    Module(
        "fills_the_disk",
        F,
        first="with open('full', 'wb') as file:\n    while True:\n        file.write(bytes(1 << 22))",
        level=Level.LIMITS,
    ),
    Module(
        "opens_files_without_end", F, "HELD = []", "while True:\n    HELD.append(open('/dev/null'))", level=Level.LIMITS
    ),
)

MODULES = (*HONEST, *AT_IMPORT, *IN_A_CALL, *ANSWERS, *TAMPERS)
