"""An optimiser changes parameters by their gradients. What all of them share stands here: the parameters and their
options, the count of steps, the checks, and the state as plain arrays.

A step assigns `p.data`, so that a graph which used the old values is known to be stale.
"""

import math

import numpy as np

from ..arrays import device_of, namespace, to_device, to_numpy
from ..engine import Tensor
from .clipping import check_limit, global_norm, what_is_not_finite
from .groups import flatten

BLOCK = 1 << 15  # entries of a piece; an array up to four times as large stays whole


class Optimizer:
    """What all optimisers share. A subclass defines `change`, and names in `slots` the arrays that it keeps.

    Parameters
    ----------
    parameters : list of Tensors, or of pairs (name, Tensor), or of groups; a Module; or one Tensor
        A group is a dict with the key "parameters" and what is different for them: "lr_scale" (its rate is lr times
        that) and "weight_decay". `no_decay` and `layerwise` make groups.
    lr : float
        The learning rate. It may be changed at any time: `optimizer.lr = 0.1`.
    weight_decay : float
        How strongly the parameters are pulled towards 0.
    clip_norm : float, optional
        The greatest length of all gradients together; longer ones are shortened, as `clip_norm` does, but in a copy.

    Attributes
    ----------
    parameters : list of Tensors
    lr : float
    steps : int
        How many steps were made.

    Raises
    ------
    ValueError
        If a number is out of its range, a parameter is named twice, or a group has an option that is not known.
    TypeError
        If a parameter is no leaf Tensor of floats.

    Examples
    --------
    >>> import minicl as mc
    >>> x, y = mc.tensor([1.0, 2.0]), mc.tensor([1.0, 2.0])
    >>> groups = [{"parameters": [x], "lr_scale": 0.5}, {"parameters": [y], "weight_decay": 1.0}]
    >>> optimizer = mc.optim.SGD(groups, lr=0.1)
    >>> optimizer.step([np.ones(2), np.ones(2)])
    >>> x, y
    (Tensor([0.95, 1.95]), Tensor([0.8, 1.7]))
    """

    slots = ()
    by_entry = True  # each entry of a step depends on that entry alone, so that it may be made in pieces

    def __init__(self, parameters, lr, weight_decay=0.0, clip_norm=None):
        rows, name = flatten(parameters), type(self).__name__
        self.parameters = [p for _, p, _ in rows]
        if not rows:
            raise ValueError(f"{name}: the list of parameters is empty.")
        for k, p in enumerate(self.parameters):
            if not isinstance(p, Tensor) or p.origin is not None or p.dtype.kind != "f":
                raise TypeError(f"{name}: parameter {k} is no leaf Tensor of floats, but {p!r}.")
        if len({id(p) for p in self.parameters}) != len(self.parameters):
            raise ValueError(f"{name}: a parameter is named twice, and would take two steps at a time.")
        self.lr, self.weight_decay, self.clip_norm = lr, weight_decay, clip_norm
        if clip_norm is not None:
            check_limit(f"{name}: clip_norm", clip_norm)
        self.names = [n for n, _, _ in rows]
        self.options = [self._checked(p, chosen) for _, p, chosen in rows]
        self.steps = 0
        self.state = [{slot: namespace(p.data).zeros_like(p.data) for slot in self.slots} for p in self.parameters]
        self._scratch = {}

    @property
    def lr(self):
        return self._lr

    @lr.setter
    def lr(self, new):
        if not 0 <= new < math.inf:
            raise ValueError(f"{type(self).__name__}: the learning rate must not be negative, got {new}.")
        self._lr = float(new)  # a NumPy float64 would turn float32 steps into float64

    def options_of(self, p):
        """What holds for a parameter if its group does not say otherwise."""
        return {"lr_scale": 1.0, "weight_decay": self.weight_decay}

    def _checked(self, p, chosen):
        name, options = type(self).__name__, self.options_of(p)
        for key, value in (options | chosen).items():
            if key not in options:
                raise ValueError(f"{name}: a group has the option {key!r}; it may have {', '.join(options)}.")
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: {key} must not be negative, got {value}.")
        return {key: type(old)(chosen.get(key, old)) for key, old in options.items()}

    def change(self, p, g, lr, weight_decay, **state):
        """What is subtracted from the array `p` that has the gradient `g`; `state` is updated in place."""
        raise NotImplementedError(f"{type(self).__name__}: define change(self, p, g, lr, weight_decay, **state).")

    def step(self, gradients):
        """Change all parameters by one step.

        Parameters
        ----------
        gradients : list of arrays, one for each parameter, as `mc.grad(loss, parameters)` gives them

        Raises
        ------
        ValueError
            If their number or a shape does not fit.
        TypeError
            If a gradient is on another device than its parameter, or holds no real numbers.
        FloatingPointError
            If a gradient holds NaN or infinity.

        Notes
        -----
        After an error no parameter has changed, and the step is not counted.
        """
        gradients = self._fitting(gradients)
        norm = global_norm(gradients)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"{type(self).__name__}.step: {what_is_not_finite(gradients, self.names)}; nothing was changed"
            )
        shorter = 1.0 if self.clip_norm is None or norm <= self.clip_norm else self.clip_norm / norm
        self.steps += 1
        for p, g, options, state in zip(self.parameters, gradients, self.options, self.state):
            chosen = {key: value for key, value in options.items() if key != "lr_scale"}
            chosen["lr"] = self.lr * options["lr_scale"]
            array = p.data
            for part, its_g, its_state in self._pieces(array, g, state):
                if shorter < 1:
                    its_g = namespace(part).multiply(its_g, shorter, out=self.scratch(part, "clipped"))
                part -= self.change(part, its_g, **chosen, **its_state)
            p.data = array  # changed in place, and assigned: graphs that used it are stale

    def _pieces(self, p, g, state):
        """Views of one piece after the other of a large array on the CPU, so that what a step writes stays in the cache."""
        arrays = [p, g, *state.values()]
        if not self.by_entry or p.size <= 4 * BLOCK or namespace(p) is not np:
            yield p, g, state
        elif not all(a.flags.c_contiguous for a in arrays):
            yield p, g, state
        else:
            arrays = [a.reshape(-1) for a in arrays]
            for start in range(0, p.size, BLOCK):
                p, g, *kept = (a[start : start + BLOCK] for a in arrays)
                yield p, g, dict(zip(state, kept))

    def _fitting(self, gradients):
        name = type(self).__name__
        single = len(self.parameters) == 1 and not isinstance(gradients, (list, tuple))
        gradients = [gradients] if single else list(gradients)
        if len(gradients) != len(self.parameters):
            raise ValueError(
                f"{name}.step: {len(gradients)} gradients for {len(self.parameters)} parameters; give one for each."
            )
        gradients = [g.data if isinstance(g, Tensor) else g for g in gradients]
        for k, (p, g) in enumerate(zip(self.parameters, gradients)):
            if getattr(g, "shape", None) != p.shape:
                raise ValueError(
                    f"{name}.step: gradient {k} has shape {getattr(g, 'shape', None)}, its parameter {p.shape}. "
                    "Give the gradients in the order of the parameters."
                )
            namespace(p.data, g, op=f"{name}.step, parameter {k} and its gradient")
            if g.dtype.kind not in "fiu":
                raise TypeError(f"{name}.step: gradient {k} has dtype {g.dtype}; give real numbers.")
        return [g if g.dtype.kind == "f" else g.astype(p.dtype) for p, g in zip(self.parameters, gradients)]

    def with_decay(self, p, g, weight_decay):
        """g + β θ, the gradient of the loss + β ‖θ‖² / 2."""
        if not weight_decay:
            return g
        total = namespace(p).multiply(p, weight_decay, out=self.scratch(p, "decayed"))
        total += g
        return total

    def scratch(self, p, name, dtype=None):
        """An array like `p` to write into. Parameters of one shape share it, and the next step uses it again."""
        xp, dtype = namespace(p), dtype or p.dtype
        key = xp.__name__, p.shape, dtype, name
        if key not in self._scratch:
            self._scratch[key] = xp.empty(p.shape, dtype=dtype)
        return self._scratch[key]

    def state_dict(self):
        """Steps, learning rate and the state of each parameter: copies, as NumPy arrays with names such as `0.mean`."""
        arrays = {"steps": np.array(self.steps), "lr": np.array(self.lr)}
        for k, state in enumerate(self.state):
            arrays |= {f"{k}.{slot}": np.array(to_numpy(a)) for slot, a in state.items()}
        return arrays

    def load_state_dict(self, state):
        """Take over what `state_dict` gave. Nothing changes if anything does not fit.

        Raises
        ------
        KeyError, ValueError
            If names, shapes or kinds of numbers differ: the state is that of another optimiser, or of other parameters.
        """
        own, name = self.state_dict(), type(self).__name__
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise KeyError(
                f"load_state_dict of {name}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}."
            )
        for key, a in own.items():
            new = to_numpy(state[key])
            if new.shape != a.shape:
                raise ValueError(f"load_state_dict of {name}: {key} has shape {a.shape}, the state has {new.shape}.")
            if not np.can_cast(new.dtype, a.dtype, casting="same_kind"):
                raise ValueError(f"load_state_dict of {name}: {key} has dtype {a.dtype}, the state has {new.dtype}.")
        self.lr = state["lr"]
        self.steps = int(state["steps"])
        for k, (p, slots) in enumerate(zip(self.parameters, self.state)):
            for slot in slots:
                new = to_numpy(state[f"{k}.{slot}"]).astype(p.dtype)  # a copy
                slots[slot] = to_device(new, device_of(p.data))
        return self

    def to(self, device):
        """Move the state to `"cpu"` or `"gpu"`, after the parameters were moved there. Returns the optimiser."""
        self.state = [{slot: to_device(a, device) for slot, a in state.items()} for state in self.state]
        self._scratch = {}
        return self

    def settings(self):
        """The numbers that were chosen, besides the learning rate: what its formula calls by letters, and the groups
        that differ."""
        own = ("parameters", "names", "options", "steps", "state")
        chosen = {k: v for k, v in vars(self).items() if k not in own and not k.startswith("_") and v is not None}
        usual = [self.options_of(p) for p in self.parameters]
        different = [
            {"parameter": k, **{key: o[key] for key in o if o[key] != u[key]}}
            for k, (o, u) in enumerate(zip(self.options, usual))
            if o != u
        ]
        return chosen | ({"different": different} if different else {})

    def __repr__(self):
        chosen = {"lr": self.lr, **self.settings()}
        different = chosen.pop("different", [])
        text = ", ".join(f"{k}={v}" for k, v in chosen.items())
        return f"{type(self).__name__}({text}" + (f", {len(different)} parameters differ)" if different else ")")
