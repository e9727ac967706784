"""The parameters of a function, read once and read anew where the function is another."""

from harness.core.parameters import parameter_names, parameters_of


def function(x, eps=1e-5, *, mask=None):
    return x


def test_they_are_read_anew_where_code_or_defaults_were_exchanged():
    def other(x, weight, eps=1e-6):
        return x

    def target(x, eps=1e-5, *, mask=None):
        return x

    assert parameter_names(target) == ["x", "eps", "mask"]
    code, defaults, named = target.__code__, target.__defaults__, target.__kwdefaults__
    target.__code__, target.__defaults__, target.__kwdefaults__ = other.__code__, other.__defaults__, None
    assert [p.default for p in parameters_of(target) or ()][2] == 1e-6 and parameter_names(target)[1] == "weight"
    target.__code__, target.__defaults__, target.__kwdefaults__ = code, defaults, named
    assert parameter_names(target) == ["x", "eps", "mask"]
    target.__kwdefaults__ = {"mask": 3}
    assert [p.default for p in parameters_of(target) or ()][2] == 3


def test_what_is_attached_to_a_function_counts():
    def wrapper(*args):
        return function(*args)

    assert parameter_names(wrapper) == ["args"]
    wrapper.__wrapped__ = function
    assert parameter_names(wrapper) == ["x", "eps", "mask"]


def test_a_caller_may_change_the_list():
    found = parameters_of(function)
    assert found is not None
    found.clear()
    assert parameter_names(function) == ["x", "eps", "mask"]


def test_a_bound_method_has_no_self():
    class Layer:
        def forward(self, x, mask=None):
            return x

        def open_ended(*args):
            return args

        @classmethod
        def build(cls, width):
            return cls()

    assert parameter_names(Layer().forward) == ["x", "mask"] and parameter_names(Layer.forward) == ["self", "x", "mask"]
    assert parameter_names(Layer().open_ended) == ["args"] and parameter_names(Layer.build) == ["width"]
