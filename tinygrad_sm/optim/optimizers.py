"""The optimizers, each of which is a formula on plain data of any library, with PyTorch's names and PyTorch's formulas.

Nothing is changed in place: a step computes the new data of every parameter first and then rebinds all of them, so what was
recorded before stays true, and an error leaves no half of a step behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_sm import nd
from tinygrad_sm.graph import Value
from tinygrad_sm.graph.namespaces import as_data, namespace_of, shape
from tinygrad_sm.ops.helpers import moved_like
from tinygrad_sm.optim.checks import check_leaves, listed, number, setting

State = dict[str, Any]
Params = Iterable[Value] | Iterable[dict[str, Any]]


class Optimizer:
    """What all optimizers share. One of your own defines `starts` and `update`, which work on plain data of any library.

    `params` is an iterable of leaf Values, or one of dicts with "params" and settings of their own. `param_groups` is the
    list of these dicts, and may be edited between two steps. A TypeError or ValueError tells about wrong ones.

    >>> import tinygrad_sm as tg
    >>> class SignDescent(tg.optim.Optimizer):
    ...     def update(self, xp, data, gradient, state, *, lr):
    ...         return data - lr * xp.sign(gradient), state
    >>> x = tg.Value([3.0, -3.0])
    >>> optimizer = SignDescent([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x.data
    array([2.5, -2.5])
    """

    starts: State = {}  # the state of a parameter before its first step; single numbers fit every shape

    def __init__(self, params: Params, **defaults: Any) -> None:
        self.defaults = self._settings(defaults, defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Value, State] = {}
        given = listed(type(self).__name__, params)
        for group in given if given and all(isinstance(x, dict) for x in given) else [{"params": given}]:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(f"{type(self).__name__}: no parameters; has the generator been used up, or the model none?")

    def update(self, *operands: Any, **settings: Any) -> tuple[Any, State]:
        """`update(xp, data, gradient, state, **settings)` is the formula: the new data and state of one parameter.

        All of it is plain data of the library `xp`, and nothing may be changed in place.
        """
        raise NotImplementedError(f"{type(self).__name__}: defines no update")

    def step(self) -> None:
        """Moves every parameter that has a gradient and requires one."""
        steps = []
        for group in self.param_groups:
            settings = self._settings(group, self.defaults)
            for p in group["params"]:
                if p.has_grad and p.requires_grad:
                    steps.append((p, *self._stepped(p, settings)))
        for p, data, state in steps:
            p.data = data
            if state:
                self.state[p] = state

    @property
    def lr(self) -> float:
        """The learning rate, of the first group if there are several; setting it sets that of all."""
        if "lr" not in self.defaults:
            raise AttributeError(f"{type(self).__name__} has no learning rate")
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, rate: float) -> None:
        rate = setting(f"{type(self).__name__}: lr", "lr", rate)
        for group in self.param_groups:
            group["lr"] = rate

    def zero_grad(self) -> None:
        """Every gradient goes back to none yet."""
        for group in self.param_groups:
            for p in group["params"]:
                p.zero_grad()

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Parameters that join: a dict with "params" and settings that differ from the defaults."""
        name = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'{name}: a group is a dict with "params" and settings, such as {{"params": [v], "lr": 0.1}}')
        unknown = group.keys() - self.defaults.keys() - {"params", "name", "initial_lr"}
        if unknown:
            raise ValueError(f"{name}: unknown settings {sorted(unknown)} in a group; there are {[*self.defaults]}")
        group = {**self.defaults, **group, "params": listed(name, group["params"])}
        group |= self._settings(group, self.defaults)
        check_leaves(name, [p for other in (*self.param_groups, group) for p in other["params"]])
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """A picture of the progress in plain data: "state" by number of the parameter, and "param_groups"."""
        index = {p: i for i, p in enumerate(self._parameters())}
        return {
            "state": {index[p]: {**state} for p, state in self.state.items()},
            "param_groups": [{**group, "params": [index[p] for p in group["params"]]} for group in self.param_groups],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from such a picture, of any library; a ValueError when it does not fit, and then nothing has changed."""
        what = f"{type(self).__name__}.load_state_dict"
        if not _is_state(state_dict):
            raise TypeError(f'{what}: needs the dict with "state" and "param_groups" that state_dict() gave')
        saved = state_dict["param_groups"]
        sizes, own = ([len(group["params"]) for group in groups] for groups in (saved, self.param_groups))
        if sizes != own:
            raise ValueError(f"{what}: groups of {sizes} parameters, and this optimizer has groups of {own}")
        missing = sorted({key for group in saved for key in self.defaults.keys() - group.keys()})
        if missing:
            raise ValueError(f"{what}: {missing} are missing, so these are the settings of another optimizer")
        groups = [
            {**new, **self._settings(new, self.defaults), "params": old["params"]}
            for new, old in zip(saved, self.param_groups, strict=True)
        ]
        by_number = dict(zip((str(i) for group in saved for i in group["params"]), self._parameters(), strict=True))
        state = {}
        for i, entry in state_dict["state"].items():
            p = by_number.get(str(i))  # JSON makes text of the numbers
            if p is None or not entry.keys() >= self.starts.keys():
                raise ValueError(f"{what}: state {sorted(entry)} of parameter {i}, and this optimizer has no place for it")
            state[p] = {key: _loaded(f"{what}: {key} of parameter {i}", key, x, p.data) for key, x in entry.items()}
        self.param_groups[:], self.state = groups, state

    def _stepped(self, p: Value, settings: dict[str, Any]) -> tuple[Any, State]:
        """The new data and state of one parameter, which nobody has seen yet."""
        data = p.data
        state = {key: _carried(x, data) for key, x in self.state.get(p, self.starts).items()}
        if isinstance(data, nd.Decimals):
            settings = {key: _exact(x, data.digits) for key, x in settings.items()}
        new, state = self.update(namespace_of((data,)), data, p.grad, state, **settings)
        if shape(new) != shape(data):
            raise ValueError(f"{type(self).__name__}: update made shape {shape(new)} of a parameter of shape {shape(data)}")
        return _carried(new, data), state  # since numpy makes numbers of its arrays without axes

    def _parameters(self) -> list[Value]:
        return [p for group in self.param_groups for p in group["params"]]

    def _settings(self, group: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """The settings of a group, checked, as Python's own numbers: numpy's would turn float32 into float64."""
        name = type(self).__name__
        return {key: setting(f"{name}: {key}", key, group[key]) for key in keys}

    def __repr__(self) -> str:
        texts = {key: [str(group[key]) for group in self.param_groups] for key in self.defaults}
        settings = "".join(f"{key}={'|'.join(dict.fromkeys(each))}, " for key, each in texts.items())
        values = self._parameters()
        return f"{type(self).__name__}({settings}{sum(p.size for p in values):,} parameters in {len(values)} Values)"


class SGD(Optimizer):
    """Stochastic gradient descent: p <- p - lr g.

    With `momentum` the step is along b <- momentum b + (1 - dampening) g, which starts as g, and with `nesterov` along
    g + momentum b. `weight_decay` adds weight_decay p to g. The formulas are PyTorch's, after Sutskever et al. 2013, "On the
    importance of initialization and momentum in deep learning".

    >>> import tinygrad_sm as tg
    >>> w = tg.Value([1.0, 2.0])
    >>> optimizer = tg.optim.SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([0.5, 1.0])
    """

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        *,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, dampening=dampening, nesterov=nesterov, weight_decay=weight_decay)

    def _settings(self, group: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        settings = super()._settings(group, keys)
        if settings["nesterov"] and (settings["dampening"] or not settings["momentum"]):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0")
        return settings

    def update(
        self,
        xp: Any,
        data: Any,
        gradient: Any,
        state: State,
        *,
        lr: Any,
        momentum: Any,
        dampening: Any,
        nesterov: bool,
        weight_decay: Any,
    ) -> tuple[Any, State]:
        """One step of the formula above; the state is the momentum_buffer b."""
        if weight_decay:
            gradient = gradient + weight_decay * data
        if momentum:
            buffer = state.get("momentum_buffer")
            # times 1 makes a copy: the gradient is its user's, who may go on to edit a numpy array in place
            buffer = gradient * 1.0 if buffer is None else momentum * buffer + (1.0 - dampening) * gradient
            gradient = gradient + momentum * buffer if nesterov else buffer
            state = {"momentum_buffer": buffer}
        return _descended(data, lr, gradient), state


class Adam(Optimizer):
    """Steps along the running mean of the gradient over the root of the running mean of its square, both free of their bias.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, p <- p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps).
    `weight_decay` adds weight_decay p to g; `amsgrad` puts the largest v so far in the place of v. From Kingma and Ba 2015,
    "Adam: A Method for Stochastic Optimization", and Reddi et al. 2018, "On the Convergence of Adam and Beyond".

    >>> import tinygrad_sm as tg
    >>> w = tg.Value([1.0, -200.0])
    >>> optimizer = tg.optim.Adam([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> print(f"{w.data[0]:.6f} {w.data[1]:.6f}")
    0.500000 -199.500000
    """

    starts = {"step": 0, "exp_avg": 0.0, "exp_avg_sq": 0.0}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)

    def update(
        self,
        xp: Any,
        data: Any,
        gradient: Any,
        state: State,
        *,
        lr: Any,
        betas: tuple[Any, Any],
        eps: Any,
        weight_decay: Any,
        amsgrad: bool,
    ) -> tuple[Any, State]:
        """One step of the formula above; the state is t as step, m as exp_avg, v as exp_avg_sq."""
        beta1, beta2 = betas
        if weight_decay:
            gradient = gradient + weight_decay * data
        step = state["step"] + 1
        mean = beta1 * state["exp_avg"] + (1.0 - beta1) * gradient
        square = largest = beta2 * state["exp_avg_sq"] + (1.0 - beta2) * (gradient * gradient)
        state = state | {"step": step, "exp_avg": mean, "exp_avg_sq": square}
        if amsgrad:
            state["max_exp_avg_sq"] = largest = xp.maximum(state.get("max_exp_avg_sq", square), square)
        # the corrections are single numbers, and xp.sqrt of one would be a float64
        scale = xp.sqrt(largest) / (1.0 - beta2**step) ** 0.5 + eps
        return _descended(data, lr / (1.0 - beta1**step), xp.divide(mean, scale)), state


class AdamW(Adam):
    """Adam whose weight decay has nothing to do with the gradient: p shrinks by the factor 1 - lr weight_decay first.

    From Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".

    >>> import tinygrad_sm as tg
    >>> w = tg.Value(8.0)
    >>> optimizer = tg.optim.AdamW([w], lr=0.5, weight_decay=0.25)
    >>> (0.0 * w).backward()
    >>> optimizer.step()
    >>> w.data
    7.0
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)

    def update(self, xp: Any, data: Any, gradient: Any, state: State, **settings: Any) -> tuple[Any, State]:
        """The decay, then a step of Adam without one."""
        shrunk = data * (1.0 - settings["lr"] * settings["weight_decay"])
        return super().update(xp, shrunk, gradient, state, **settings | {"weight_decay": 0.0})


class RMSprop(Optimizer):
    """Steps along the gradient over the root of the running mean of its square.

    v <- alpha v + (1 - alpha) g^2, p <- p - lr g / (sqrt(v) + eps). `centered` takes the square of the running mean of g from
    v, `momentum` steps along b <- momentum b + g / (sqrt(v) + eps), `weight_decay` adds weight_decay p to g. After Hinton's
    lecture of 2012; centered from Graves 2013, "Generating Sequences With Recurrent Neural Networks".

    >>> import tinygrad_sm as tg
    >>> w = tg.Value(1.0)
    >>> optimizer = tg.optim.RMSprop([w], lr=0.05, alpha=0.75, eps=0.0)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w.data
    0.9
    """

    starts = {"step": 0, "square_avg": 0.0}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered)

    def update(
        self,
        xp: Any,
        data: Any,
        gradient: Any,
        state: State,
        *,
        lr: Any,
        alpha: Any,
        eps: Any,
        weight_decay: Any,
        momentum: Any,
        centered: bool,
    ) -> tuple[Any, State]:
        """One step of the formula above; the state is v as square_avg, the running mean as grad_avg, b as momentum_buffer."""
        if weight_decay:
            gradient = gradient + weight_decay * data
        variance = square = alpha * state["square_avg"] + (1.0 - alpha) * (gradient * gradient)
        state = state | {"step": state["step"] + 1, "square_avg": square}
        if centered:
            state["grad_avg"] = mean = alpha * state.get("grad_avg", 0.0) + (1.0 - alpha) * gradient
            variance = xp.clip(square - mean * mean, 0.0, None)  # which rounding may have left below 0
        direction = xp.divide(gradient, xp.sqrt(variance) + eps)
        if momentum:
            state["momentum_buffer"] = direction = momentum * state.get("momentum_buffer", 0.0) + direction
        return _descended(data, lr, direction), state


def _is_state(x: Any) -> bool:
    """Whether `x` has the parts of what `state_dict` gives."""
    if not isinstance(x, dict) or not isinstance(x.get("state"), dict) or not isinstance(x.get("param_groups"), list):
        return False
    groups = x["param_groups"]
    return all(isinstance(part, dict) for part in (*x["state"].values(), *groups)) and all("params" in g for g in groups)


# --- from one kind of numbers to another


def _exact(setting: Any, digits: int) -> Any:
    """A setting beside decimals, so that what is computed of settings alone is as precise as they are."""
    if isinstance(setting, tuple):
        return tuple(_exact(x, digits) for x in setting)
    return setting if isinstance(setting, bool) else nd.exact(setting, digits)


def _kind(x: Any) -> tuple:
    return type(x), getattr(x, "dtype", None), getattr(x, "device", None)


def _carried(x: Any, like: Any) -> Any:
    """A part of the state in the library, element type and device of `like`, where the parameter may have moved since."""
    if type(x) is int or type(x) is type(like) is nd.Array:
        return x
    return x if _kind(x) == _kind(like) else moved_like(x, like)


def _loaded(what: str, key: str, x: Any, like: Any) -> Any:
    """A part of a saved state, checked."""
    x = as_data(x, what)
    if key == "step":
        return int(number(what, float(x)))
    if shape(x) != shape(like):
        raise ValueError(f"{what} has shape {shape(x)}, and the parameter has shape {shape(like)}")
    return _carried(x, like)


def _descended(data: Any, lr: Any, direction: Any) -> Any:
    """data - lr direction; for our own arrays of floats in one pass, which takes half the time."""
    if type(data) is nd.Array and type(lr) is float:
        flat = [x - lr * d for x, d in zip(data._flat, direction._flat, strict=True)]
        return nd.array.make(flat, data.shape, data.dtype)
    return data - lr * direction
