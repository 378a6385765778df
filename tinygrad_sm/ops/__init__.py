"""The primitives, each forward beside its rules, and the operators and methods that they become on Value."""

from tinygrad_sm.graph import Op, Value
from tinygrad_sm.graph.value_namespace import register_ops
from tinygrad_sm.ops import creation, elementwise, gathering, linalg, operators, reductions, shapes

_MODULES = (elementwise, reductions, shapes, linalg, gathering)

register_ops(*(op for module in _MODULES for op in vars(module).values() if isinstance(op, Op)))


def _reshape(x: Value, *shape: object) -> Value:
    """The same elements with another shape, as in `x.reshape(2, -1)` or `x.reshape((2, -1))`."""
    return shapes.reshape(x, shape=shape[0] if len(shape) == 1 else shape)


_reshape.__name__ = "reshape"

METHODS = {
    name: getattr(module, name)
    for module, names in (
        (elementwise, "abs sign exp expm1 log log1p sqrt sin cos tanh erf erfc relu leaky_relu elu gelu square clip"),
        (reductions, "sum mean max min prod var std norm sort argsort cumulative_sum"),
        (shapes, "flatten permute_dims matrix_transpose broadcast_to expand_dims squeeze split flip tril astype"),
        (linalg, "matmul dot outer"),
        (gathering, "take take_along_axis argmax"),
    )
    for name in names.split()
} | {"reshape": _reshape}

operators.install(
    arithmetic={
        "add": ("{} + {}", elementwise.add),
        "sub": ("{} - {}", elementwise.subtract),
        "mul": ("{} * {}", elementwise.multiply),
        "truediv": ("{} / {}", elementwise.divide),
        "pow": ("power({}, {})", elementwise.pow),
    },
    binary={"matmul": linalg.matmul},
    unary={"neg": elementwise.negative, "abs": elementwise.abs},
    methods=METHODS,
)


def _positive(self: Value) -> Value:
    return self


def _getitem(self: Value, key: object) -> Value:
    return gathering.getitem(self, key=key)


def _transpose(self: Value) -> Value:
    """The transpose of a matrix."""
    if self.ndim != 2:
        raise ValueError(f"T is for matrices and this Value has shape {self.shape}; mT swaps the last two axes")
    return shapes.matrix_transpose(self)


Value.__pos__ = _positive  # type: ignore[method-assign]
Value.__getitem__ = _getitem  # type: ignore[method-assign]
Value.T = property(_transpose)  # type: ignore[assignment]
Value.mT = property(shapes.matrix_transpose)  # type: ignore[assignment]

__all__ = ["METHODS", "creation", "elementwise", "gathering", "linalg", "reductions", "shapes"]
