"""A Module is a function that carries parameters. The Tensors among its attributes are its parameters, and nothing has
to be registered.

Bare arrays among the attributes are its buffers (state that is saved, but has no gradient), and NumPy Generators its
sources of chance. All of them are found by one walk over the attributes, in the order in which they were assigned.
"""

from contextlib import contextmanager

import numpy as np

from ..arrays import device_of, is_array, to_device, to_numpy
from ..engine import Tensor, no_grad

_observers = []  # functions f(module, output), called after each module: how `summary` sees the shapes


class Module:
    """A function with parameters: subclass it, assign Tensors and Modules to attributes, and define `forward`.

    Attributes may hold Tensors, arrays, Generators and Modules, also in lists, tuples and dicts. No `__init__` needs to
    be called first. What two attributes share appears once, under its first name.

    Attributes
    ----------
    training : bool
        What `train` and `eval` switch. Dropout, for one, looks at it.

    Examples
    --------
    >>> import minicl as mc
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = mc.tensor(2.0)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale()
    >>> float(scale(3.0))
    6.0
    >>> [name for name, p in scale.named_parameters()]
    ['factor']
    """

    training = True

    def forward(self, *args):
        raise NotImplementedError(f"{type(self).__name__}: define forward(self, x), which computes the output.")

    def __call__(self, *args, **params):
        y = self.forward(*args, **params)
        for f in _observers:
            f(self, y)
        return y

    # ----------------------------------------------------------------------------------------------- what it is made of

    def _walk(self):
        """Pairs (dotted name, value) of all that is found: Modules, Tensors, arrays, Generators, each once."""
        return _walk(self, "", set())

    def named_modules(self):
        """Pairs (dotted name, Module): this one, with the name "", and all within it."""
        return [(name, m) for name, m in self._walk() if isinstance(m, Module)]

    def named_parameters(self):
        """Pairs (dotted name, Tensor) in the order of declaration; a shared parameter appears once.

        Raises
        ------
        ValueError
            If an attribute holds the result of an operation: it would never be trained.
        """
        found = [(name, p) for name, p in self._walk() if isinstance(p, Tensor)]
        for name, p in found:
            if p.origin is not None:
                raise ValueError(
                    f"{type(self).__name__}.{name} is the result of {p.origin.op.__name__!r}, and a parameter must be "
                    "a leaf. Compute with arrays first, and wrap the result: mc.tensor(values)."
                )
        return found

    def parameters(self):
        """All parameters: a list of Tensors in the order of declaration."""
        return [p for _, p in self.named_parameters()]

    def named_buffers(self):
        """Pairs (dotted name, array): state without a gradient, such as running statistics."""
        return [(name, a) for name, a in self._walk() if is_array(a)]

    def named_generators(self):
        """Pairs (dotted name, Generator): where the modules within draw their random numbers."""
        return [(name, g) for name, g in self._walk() if isinstance(g, np.random.Generator)]

    # --------------------------------------------------------------------------------------------------------- its mode

    def train(self, mode=True):
        """Switch this module and all within to training (or, with False, to evaluation). Returns the module."""
        for _, m in self.named_modules():
            m.training = mode
        return self

    def eval(self):
        """Switch to evaluation: dropout passes everything on. Returns the module."""
        return self.train(False)

    @contextmanager
    def mode(self, training):
        """Switch to training or evaluation within a `with` block; afterwards each module has its mode back.

        Examples
        --------
        >>> from minicl.nn import Dropout
        >>> layer = Dropout(0.5)
        >>> with layer.mode(training=False):
        ...     layer.training
        False
        >>> layer.training
        True
        """
        before = [(m, m.training) for _, m in self.named_modules()]
        self.train(training)
        try:
            yield self
        finally:
            for m, was in before:
                m.training = was

    # -------------------------------------------------------------------------------------------------------- its state

    def state_dict(self):
        """Parameters and buffers by dotted name: copies, as NumPy arrays, so that they fit every device and file."""
        return {name: np.array(to_numpy(x)) for name, x in self._state()}

    def load_state_dict(self, state):
        """Take over all parameters and buffers from what `state_dict` gave. Nothing changes if anything does not fit.

        Parameters
        ----------
        state : dict of arrays
            All names that `state_dict` has, and no others. Numbers are cast to the dtype that the module has.

        Raises
        ------
        KeyError
            If a name is missing or unknown.
        ValueError
            If a shape differs, or the values are no real numbers.
        """
        own, who = dict(self._state()), type(self).__name__
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise KeyError(
                f"load_state_dict of {who}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}. "
                "The state must come from a module that was built in the same way."
            )
        new = {name: to_numpy(state[name]) for name in own}
        for name, x in own.items():
            if new[name].shape != tuple(x.shape):
                raise ValueError(
                    f"load_state_dict of {who}: {name} has shape {tuple(x.shape)}, the state has {new[name].shape}."
                )
            if not np.can_cast(new[name].dtype, x.dtype, casting="same_kind"):
                raise ValueError(
                    f"load_state_dict of {who}: {name} has dtype {x.dtype}, the state has {new[name].dtype}."
                )
        for name, x in own.items():
            if isinstance(x, Tensor):
                x.data = to_device(new[name], x.device)
            else:
                x[...] = to_device(new[name], device_of(x))
        return self

    def _state(self):
        return self.named_parameters() + self.named_buffers()

    def to(self, device):
        """Move parameters and buffers to `"cpu"` or `"gpu"`. Returns the module; its Tensors stay the same objects."""
        for p in self.parameters():
            if p.device != device:
                p._data = to_device(p.data, device)
                p.data = p.data  # assigned: a graph that used it on the old device is stale
                p.grad = None
        moved = [(a, to_device(a, device)) for _, a in self.named_buffers()]
        for _, m in self.named_modules():
            _replace_arrays(vars(m), lambda a: next(new for old, new in moved if old is a))
        return self

    @property
    def device(self):
        """`"cpu"` or `"gpu"`: where the first parameter is ("cpu" if there is none)."""
        return next((p.device for p in self.parameters()), "cpu")

    @property
    def dtype(self):
        """The dtype of the first parameter (None if there is none)."""
        return next((p.dtype for p in self.parameters()), None)

    # ----------------------------------------------------------------------------------------------------- how it looks

    def summary(self, input_shape):
        """A table of all modules within: the shape of each output, and the number of parameters.

        Parameters
        ----------
        input_shape : tuple
            The shape of one input, without the batch.

        Returns
        -------
        Summary
            Prints as a table; `.rows` holds (name, module, output shape, parameters), `.parameters` the total.

        Examples
        --------
        >>> from minicl.nn import MLP
        >>> MLP([4, 3, 2], rng=0).summary((4,))
        name      module        output  parameters
        layers.0  Linear(4, 3)  (N, 3)          15
        layers.1  relu          (N, 3)           0
        layers.2  Linear(3, 2)  (N, 2)           8
        total                                   23
        """
        parameters = self.parameters()
        x = np.zeros((1, *input_shape), dtype=self.dtype or np.float32)
        shapes = {}

        def note(module, y):
            shapes[id(module)] = getattr(y, "shape", None)

        _observers.append(note)
        try:
            with no_grad(), self.mode(training=False):
                self(to_device(x, self.device))
        finally:
            _observers.remove(note)
        rows = []
        for name, m in self.named_modules()[1:] or [("", self)]:
            shape = shapes.get(id(m))
            rows.append((name, m._headline(), shape and ("N", *shape[1:]), sum(p.size for p in m.parameters())))
        return Summary(rows, sum(p.size for p in parameters))

    def describe(self):
        """What stands between the brackets of the repr: the arguments that built the module."""
        return ""

    def _headline(self):
        inside = self.describe()
        return f"{type(self).__name__}({inside})" if inside or not _submodules(self) else type(self).__name__

    def __repr__(self):
        inner = _submodules(self)
        if not inner:
            return self._headline()
        lines = [f"  {name}: {m!r}".replace("\n", "\n  ") for name, m in inner]
        return "\n".join([f"{type(self).__name__}({self.describe()}", *lines, ")"])


class Summary:
    """The table that `Module.summary` makes."""

    def __init__(self, rows, parameters):
        self.rows, self.parameters = rows, parameters

    def __repr__(self):
        cells = [("name", "module", "output", "parameters")]
        for name, module, shape, count in self.rows:
            cells.append((name, module, "" if shape is None else "(" + ", ".join(map(str, shape)) + ")", f"{count:,}"))
        cells.append(("total", "", "", f"{self.parameters:,}"))
        widths = [max(len(row[k]) for row in cells) for k in range(4)]
        return "\n".join(
            "  ".join([*(text.ljust(width) for text, width in zip(row[:3], widths)), row[3].rjust(widths[3])])
            for row in cells
        )


def _walk(value, name, seen):
    if id(value) in seen:
        return
    seen.add(id(value))
    yield name, value
    for key, child in _children(value):
        yield from _walk(child, f"{name}.{key}" if name else str(key), seen)


def _children(value):
    """Pairs (key, child) of a Module's attributes, or of a container; nothing else is looked into."""
    if isinstance(value, Module):
        items = vars(value).items()
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return []
    kinds = (Module, Tensor, dict, list, tuple, np.random.Generator)
    return [(key, child) for key, child in items if isinstance(child, kinds) or is_array(child)]


def _submodules(module):
    """Pairs (name, Module) one level below; lists and dicts are looked through."""
    found = [(name, m) for name, m in module.named_modules() if name]
    return [(n, m) for n, m in found if not any(n.startswith(f"{outer}.") for outer, _ in found)]


def _replace_arrays(holder, f):
    """Put f(array) in the place of each bare array in a dict or list, and in those within."""
    for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
        if is_array(value):
            holder[key] = f(value)
        elif isinstance(value, (dict, list)):
            _replace_arrays(value, f)
        elif isinstance(value, tuple) and any(is_array(x) for x in value):
            holder[key] = tuple(f(x) if is_array(x) else x for x in value)
