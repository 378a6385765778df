"""Value: a number or an array that remembers how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from itertools import count
from numbers import Number
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tinygrad_sm import nd
from tinygrad_sm.graph.namespaces import as_data, filled_like, from_lists, is_array, namespace_of, shape
from tinygrad_sm.graph.traversal import sweep

if TYPE_CHECKING:
    from tinygrad_sm.graph.op import Op

    Axis = int | Sequence[int] | None

# Newer Values have smaller numbers, so that a heap hands out the newest first.
next_order: Callable[[], int] = count(0, -1).__next__

_recording = ContextVar("tinygrad_sm_recording", default=True)
is_recording = _recording.get


@contextmanager
def recording(on: bool) -> Iterator[None]:
    """Inside, ops on Values are recorded, or not."""
    token = _recording.set(on)
    try:
        yield
    finally:
        _recording.reset(token)


def no_grad() -> AbstractContextManager[None]:
    """Inside, nothing is recorded: ops on Values give Values without a history.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0)
    >>> with tg.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    return recording(False)


class Value:
    """A number or an array of floats that records what is computed from it.

    `data` is a float, an int, a (nested) list, or an array of any library that follows the Array API. Numbers become floats,
    lists become arrays of `tinygrad_sm.nd`, arrays of floats stay what they are and arrays of ints become floats. Anything
    else is a TypeError. `name` appears in drawings. With `requires_grad=False` the Value is a constant.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0)
    >>> y = 2 * x * x
    >>> y.backward()
    >>> x.grad
    12.0
    """

    __slots__ = (
        "__weakref__",
        "_calls",
        "_data",
        "_grad",
        "_left",
        "_left_data",
        "_order",
        "_params",
        "_right",
        "_right_data",
        "name",
        "op",
        "requires_grad",
    )
    __array_priority__ = 2000  # so that `numpy array * Value` is ours
    __array_ufunc__ = None

    _calls: list[Any]  # of modules, by which this came out; there is none for most Values
    _data: Any
    _grad: Any  # None until a gradient has arrived
    _order: int
    _params: dict[str, Any] | None  # the settings of the op, such as axis, and what it kept for its rule
    # The operands and their data, as tuples; but an operation of two single numbers, as most nodes of scalar programs are, has
    # each in a slot of its own, since a node of three objects takes the garbage collector three times as long.
    _left: Any
    _right: Any
    _left_data: Any
    _right_data: float | None
    name: str | None
    op: Op | None  # None for a leaf
    requires_grad: bool

    def __init__(self, data: Any, *, name: str | None = None, requires_grad: bool = True) -> None:
        if isinstance(data, Value):
            raise TypeError("Value: this is a Value already; use v.detach() for its data without its history")
        self._data = as_data(data)
        self._grad = self.op = self._params = None
        self._left = self._left_data = ()
        self._right = self._right_data = None
        self._order = next_order()
        self.name, self.requires_grad = name, requires_grad

    # --- history

    @property
    def inputs(self) -> tuple:
        """The operands in order: Values, and constants as plain data."""
        return self._left if self._right_data is None else (self._left, self._right)

    @property
    def _saved(self) -> tuple:
        """The data of the inputs when they were used: what was recorded stays true."""
        return self._left_data if self._right_data is None else (self._left_data, self._right_data)

    # --- data and gradient

    def _rebind(self, data: Any) -> None:
        if self.op is not None:
            raise AttributeError(
                f"this Value is the result of {self.op.name}, and what was recorded stays true; "
                "rebind the data of a leaf, or make a new Value"
            )
        data = as_data(data, "data")
        if shape(data) != shape(self._data):
            raise ValueError(f"data: shape {shape(data)} for a Value of shape {shape(self._data)}; make a new Value")
        if type(data) is not type(self._data) or (type(data) is not float and data.dtype != self._data.dtype):
            self._grad = None  # a gradient has the type of its data
        self._data = data

    data = property(attrgetter("_data"), _rebind, doc="The float or array. A leaf's may be rebound to one of its shape.")

    @property
    def grad(self) -> Any:
        """The gradient, with the shape and type of the data: zero before any has arrived (`has_grad` tells)."""
        return filled_like(self._data, 0.0) if self._grad is None else self._grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        self._grad = None if gradient is None else seed_like(self._data, plain(gradient), "grad")

    @property
    def has_grad(self) -> bool:
        """Whether a gradient has arrived since the start or the last `zero_grad()`."""
        return self._grad is not None

    def zero_grad(self) -> None:
        """Forget the gradient: back to none yet."""
        self._grad = None

    def backward(self, grad: Any = None, *, free: bool = False) -> None:
        """Add the gradient of this Value to the `.grad` of every leaf it was computed from.

        `grad` (shape of this Value) is what flows in; without it the Value must have one element, and 1 flows in. Leaves add
        up over several calls; every node between starts anew in each, and keeps its gradient to be looked at unless `free`.
        Raises a ValueError for a Value of several elements without `grad`, or one that depends on nothing differentiable.
        """
        if not self.requires_grad:
            raise ValueError("backward: this Value depends on nothing that requires a gradient")
        leaves = []
        for node, gradient, _ in sweep(self, seed_for(self, plain(grad), "backward")):
            if node.op is None:
                leaves.append((node, gradient))
            else:
                node._grad = None if free else gradient
        for leaf, gradient in leaves:  # at the end, so that an error in a rule leaves no half of a gradient behind
            leaf._grad = gradient if leaf._grad is None else leaf._grad + gradient

    def detach(self) -> Value:
        """A new leaf with the same data and no history, which requires no gradient."""
        return leaf(self._data, type(self), requires_grad=False)

    # --- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """() for a number."""
        return shape(self._data)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(shape(self._data))

    @property
    def size(self) -> int:
        """The number of elements."""
        size = 1
        for n in shape(self._data):
            size *= n
        return size

    @property
    def dtype(self) -> Any:
        """The element type of the array; `float` for a number."""
        return float if type(self._data) is float else self._data.dtype

    def item(self) -> Any:
        """The only element as a Python number."""
        if self.size != 1:
            raise ValueError(f"only a Value of one element is a number, and this one has shape {self.shape}")
        return self._data if type(self._data) is float else nested_lists(self._data, flat=True)

    def tolist(self) -> Any:
        """The elements as nested lists; a float for a number."""
        return self._data if type(self._data) is float else nested_lists(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of shape {self.shape} is ambiguous; compare with < or >, or use tg.equal")
        return bool(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a Value that is a single number has no len()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Value]:
        if not self.shape:
            raise TypeError("a Value that is a single number has no elements to go through")
        return (self[i] for i in range(self.shape[0]))

    def __array__(self, *args: Any, **keywords: Any) -> Any:
        raise TypeError("numpy functions would lose the history of a Value: use the op of tinygrad_sm, or v.data for the array")

    def __contains__(self, item: Any) -> bool:
        raise TypeError("`in` compares with ==, which between Values is identity; use tg.equal")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError("a Value never changes in place: build a new one, for example with tg.where(mask, new, old)")

    def __isub__(self, other: Any) -> Any:
        if self.op is None and self.requires_grad and not is_recording():  # p would become a constant
            raise TypeError("a Value never changes in place: write p.data = p.data - lr * p.grad, or let an optimizer step")
        return NotImplemented  # so it is p = p - other

    # --- comparisons are by value and give plain data; == and hash are by identity, so that Values can be keys

    def __lt__(self, other: Any) -> Any:
        return self._data < self._beside(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= self._beside(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > self._beside(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= self._beside(other)

    def _beside(self, other: Any) -> Any:
        data = plain(other)
        return from_lists(data, namespace_of([self._data]), "comparing") if isinstance(data, (list, tuple)) else data

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Number, list, tuple)) or is_array(other):
            raise TypeError("a Value is equal to itself only; tg.equal(v, x) compares the numbers, v is w the identity")
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    # --- text and copies

    def __repr__(self) -> str:
        data = repr(self._data)
        after = "".join(
            f", {key}={text}"
            for key, text in (
                ("name", repr(self.name) if self.name else ""),
                ("op", self.op.name if self.op else ""),
                ("requires_grad", "" if self.requires_grad else "False"),
            )
            if text
        )
        return f"{type(self).__name__}({data}{after})"

    def __str__(self) -> str:
        return str(self._data)

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec else str(self), spec)

    def __copy__(self) -> Value:
        self._must_be_leaf("copied")
        return leaf(self._data, type(self), self.requires_grad, self.name, self._grad)

    def __deepcopy__(self, memo: dict) -> Value:
        from copy import deepcopy  # whoever calls has it

        memo[id(self)] = twin = self.__copy__()
        twin._data, twin._grad = deepcopy((self._data, self._grad), memo)
        return twin

    def __reduce__(self) -> Any:
        self._must_be_leaf("pickled")
        return leaf, (self._data, type(self), self.requires_grad, self.name, self._grad)

    def _must_be_leaf(self, what: str) -> None:
        if self.op is not None:
            raise TypeError(
                f"only a leaf can be {what}, and this Value is the result of {self.op.name}; "
                "use v.detach() for its data, or run the computation again"
            )

    if TYPE_CHECKING:  # ops/ and family/ put these on the class; a test holds this list against their tables
        T: Value
        mT: Value  # noqa: N815

        def __add__(self, other: Any) -> Value: ...
        def __radd__(self, other: Any) -> Value: ...
        def __sub__(self, other: Any) -> Value: ...
        def __rsub__(self, other: Any) -> Value: ...
        def __mul__(self, other: Any) -> Value: ...
        def __rmul__(self, other: Any) -> Value: ...
        def __truediv__(self, other: Any) -> Value: ...
        def __rtruediv__(self, other: Any) -> Value: ...
        def __pow__(self, other: Any) -> Value: ...
        def __rpow__(self, other: Any) -> Value: ...
        def __matmul__(self, other: Any) -> Value: ...
        def __rmatmul__(self, other: Any) -> Value: ...
        def __neg__(self) -> Value: ...
        def __pos__(self) -> Value: ...
        def __abs__(self) -> Value: ...
        def __getitem__(self, key: Any) -> Value: ...

        def abs(self) -> Value: ...
        def sign(self) -> Value: ...
        def exp(self) -> Value: ...
        def expm1(self) -> Value: ...
        def log(self) -> Value: ...
        def log1p(self) -> Value: ...
        def sqrt(self) -> Value: ...
        def square(self) -> Value: ...
        def sin(self) -> Value: ...
        def cos(self) -> Value: ...
        def tanh(self) -> Value: ...
        def erf(self) -> Value: ...
        def erfc(self) -> Value: ...
        def relu(self) -> Value: ...
        def leaky_relu(self, negative_slope: float = 0.01) -> Value: ...
        def elu(self, alpha: float = 1.0) -> Value: ...
        def gelu(self) -> Value: ...
        def silu(self) -> Value: ...
        def sigmoid(self) -> Value: ...
        def log_sigmoid(self) -> Value: ...
        def softplus(self) -> Value: ...
        def clip(self, min: float | None = None, max: float | None = None) -> Value: ...  # noqa: A002

        def sum(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def prod(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def var(self, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Value: ...
        def std(self, axis: Axis = None, keepdims: bool = False, correction: float = 0.0) -> Value: ...
        def norm(self, axis: Axis = None, keepdims: bool = False) -> Value: ...
        def cumulative_sum(self, axis: int | None = None) -> Value: ...
        def sort(self, axis: int = -1, descending: bool = False) -> Value: ...
        def argsort(self, *, axis: int = -1, descending: bool = False) -> Any: ...
        def argmax(self, *, axis: int | None = None, keepdims: bool = False) -> Any: ...
        def softmax(self, axis: Axis = -1, *, where: Any = None, temperature: Any = 1.0) -> Value: ...
        def log_softmax(self, axis: Axis = -1, *, where: Any = None, temperature: Any = 1.0) -> Value: ...
        def logsumexp(self, axis: Axis = -1, keepdims: bool = False, *, where: Any = None, temperature: Any = 1.0) -> Value: ...

        def reshape(self, *shape: Any) -> Value: ...
        def flatten(self) -> Value: ...
        def permute_dims(self, axes: Sequence[int]) -> Value: ...
        def matrix_transpose(self) -> Value: ...
        def broadcast_to(self, shape: Sequence[int]) -> Value: ...
        def expand_dims(self, axis: Axis = 0) -> Value: ...
        def squeeze(self, axis: Axis = None) -> Value: ...
        def split(self, sections: int | Sequence[int], *, axis: int = 0) -> list[Value]: ...
        def flip(self, axis: Axis = None) -> Value: ...
        def tril(self, k: int = 0) -> Value: ...
        def astype(self, dtype: Any) -> Value: ...
        def take(self, indices: Any, axis: int | None = None) -> Value: ...
        def take_along_axis(self, indices: Any, axis: int = -1) -> Value: ...
        def matmul(self, other: Any) -> Value: ...
        def dot(self, other: Any) -> Value: ...
        def outer(self, other: Any) -> Value: ...


def nested_lists(data: Any, flat: bool = False) -> Any:
    """Nested lists of any library's array; its only element when `flat`."""
    nested = data.tolist() if hasattr(data, "tolist") else nd.asarray(data).tolist()  # the standard has no tolist
    while flat and isinstance(nested, list):
        nested = nested[0]
    return nested


def leaf(data: Any, cls: type[Value] = Value, requires_grad: bool = True, name: str | None = None, gradient: Any = None) -> Any:
    """A leaf around `data` as it is: also ints and bools, which stand for themselves in a recorded body or rule."""
    value = object.__new__(cls)
    value._data, value._grad = data, gradient
    value.op = value._params = None
    value._left = value._left_data = ()
    value._right = value._right_data = None
    value._order = next_order()
    value.name, value.requires_grad = name, requires_grad
    return value


def is_leaf(x: Value) -> bool:
    """Whether somebody made this Value: it is no result of an op, recorded or not."""
    return x.op is None and x._params is None


def plain(x: Any) -> Any:
    """The data of a Value; anything else as it is."""
    return x._data if isinstance(x, Value) else x


def constant(x: Any) -> Any:
    """`x` without its gradient: a Value becomes a constant one, plain data stays what it is.

    >>> import tinygrad_sm as tg
    >>> x = tg.Value(3.0)
    >>> tg.grad(x * tg.constant(x), x)
    3.0
    """
    return leaf(x._data, requires_grad=False) if isinstance(x, Value) else x


def seed_for(output: Any, gradient: Any, name: str) -> Any:
    """What flows into `output`: `gradient` in its shape and type, or 1 for a single element."""
    if not isinstance(output, Value):
        raise TypeError(f"{name}: needs a Value computed from Values, not {output!r}")
    if gradient is not None:
        return seed_like(output._data, gradient, name)
    if output.size != 1:
        raise ValueError(
            f"{name}: the output has shape {output.shape}; reduce it to one number first "
            "(for example with .sum()), or say which gradient flows in"
        )
    return filled_like(output._data, 1.0)


def seed_like(data: Any, gradient: Any, name: str) -> Any:
    """`gradient` (a number stands for itself everywhere) in the shape, type and library of `data`; a Value stays one."""
    xp = namespace_of([data])
    given = plain(gradient)
    given = as_data(from_lists(given, xp, name) if isinstance(given, (list, tuple)) else given, name)
    namespace_of([data, given], name)
    if type(given) is float and not isinstance(gradient, Value):
        return filled_like(data, given)
    if shape(given) != shape(data):
        raise ValueError(f"{name}: a gradient of shape {shape(given)} for shape {shape(data)}")
    if isinstance(gradient, Value):
        return gradient
    if type(data) is float:
        return float(given)
    return given if given.dtype == data.dtype else xp.astype(given, data.dtype)
