"""A module class whose parameters are not the contract's: run as it was built, to be compared with itself."""

from __future__ import annotations

from typing import Any

from harness.core.case import Call
from harness.core.contract import Contract
from harness.core.declaration import Declaration
from harness.core.implementation import Request
from harness.execution import call as execution
from harness.modules.found_class import CallFound, Factory, FoundModule
from harness.modules.holder import Holder
from harness.modules.module_session import ModuleSession


class UnmappedModule(FoundModule):
    """A class that is built at the sizes of a case and keeps the weights that it was built with.

    What it computes is not the contract's, since its weights are not: only the statements that hold for any weights can
    be tested.
    """

    def __init__(self, kind: type, contract: Contract, seconds: float) -> None:
        declaration = Declaration(contract.name, Factory(kind, contract), call=CallFound(None))
        super().__init__(declaration, contract, kind, "", seconds=seconds)
        self.remarks.clear()
        self._probed = True

    def session(self, contract: Contract, request: Request) -> ModuleSession:
        """A session for one case."""
        return _UnmappedSession(self, request)


class _UnmappedSession(ModuleSession):
    def call(self, call: Call) -> Any:
        """The output for this call's inputs, and the weights of the module.

        Raises TypeError where no module was built, and whatever the module raises.
        """
        made = self.adapter.built(call.arguments)
        if not isinstance(made, Holder):
            raise TypeError(f"{self.adapter.source.__name__} built no module")
        inputs, options = self._inputs(call, made)
        self._set_mode(made)
        result = execution.invoke(made, *inputs, **options)
        return self.adapter.output_of(result, inputs[0] if inputs else None)
