"""Parameter groups: some parameters are to learn more slowly, and some are not to be pulled towards 0. A group is a dict:
its parameters, and what is different for them.

    optimizer = AdamW([
        {"parameters": encoder.parameters(), "lr_scale": 0.1},
        {"parameters": head.parameters()},
    ], lr=1e-3, weight_decay=0.05)

The rate of a group is a share of the one rate `optimizer.lr`, so a schedule changes that number alone. The functions
here make such lists, and keep the order of the parameters: `optimizer.step(mc.grad(loss, net.parameters()))` is right.
"""

import itertools

from ..engine import Tensor


def no_decay(parameters, names=("bias", "norm"), ndim=1, **also):
    """Groups in which biases and the parameters of normalisations have no weight decay.

    Parameters
    ----------
    parameters : Module, or list of Tensors, of pairs (name, Tensor), or of groups
    names : tuple of str
        A parameter is left out if its dotted name contains one of them (upper and lower case are one). Tensors without
        a name are judged by their axes alone.
    ndim : int
        A parameter is left out, too, if it has so many axes or fewer: biases, gains and shifts have one. Give −1 to
        judge by names alone.
    **also
        What else is different for them: `adapt=False` for LARS.

    Returns
    -------
    list of groups, in the order of the parameters

    Notes
    -----
    Decay holds down the weights of a product, which could grow without a bound. A shift has no such freedom, and a gain
    of 0 would switch its channel off.

    Examples
    --------
    >>> import minicl as mc
    >>> net = mc.nn.Linear(3, 2, rng=0)
    >>> for group in no_decay(net):
    ...     print([name for name, p in group["parameters"]], group.get("weight_decay", "as chosen"))
    ['weight'] as chosen
    ['bias'] 0.0
    """
    names = [names] if isinstance(names, str) else names

    def options(name, p):
        left_out = p.ndim <= ndim or any(part.lower() in (name or "").lower() for part in names)
        return {"weight_decay": 0.0, **also} if left_out else {}

    return _grouped(parameters, options)


def layerwise(parameters, scales):
    """Groups with a learning rate for each part of a network: early layers change less when a trained one is refined.

    Parameters
    ----------
    parameters : Module, or list of pairs (name, Tensor), or of groups of them
    scales : dict from the start of dotted names to factors
        The longest start that fits decides; 1 where none fits. 0 keeps a part as it is.

    Returns
    -------
    list of groups, in the order of the parameters

    Raises
    ------
    ValueError
        If no parameter has a name that begins so, or a parameter has no name.

    Notes
    -----
    The rate of layer l of L is lr · ξ^(L−l), in the notation of Howard & Ruder 2018 (arXiv:1801.06146, section 3.2), who
    use ξ = 1/2.6.

    Examples
    --------
    >>> import minicl as mc
    >>> net = mc.nn.MLP([8, 6, 4, 2], rng=0)
    >>> groups = layerwise(net, {f"layers.{k}": 0.5 ** (4 - k) for k in (0, 2, 4)})
    >>> [(len(group["parameters"]), group["lr_scale"]) for group in groups]
    [(2, 0.0625), (2, 0.25), (2, 1.0)]
    """
    used = set()

    def options(name, p):
        if name is None:
            raise ValueError("layerwise: a parameter has no name; give the module, or its named_parameters().")
        starts = [start for start in scales if f"{name}.".startswith(f"{start}.")]
        used.update(starts)
        return {"lr_scale": float(scales[max(starts, key=len)])} if starts else {}

    groups = _grouped(parameters, options)
    unknown = [start for start in scales if start not in used]
    if unknown:
        raise ValueError(f"layerwise: no parameter has a name that begins with {unknown}.")
    return groups


def flatten(parameters):
    """A list of (name or None, parameter, options), whatever way the parameters are given."""
    if isinstance(parameters, Tensor):
        return [(None, parameters, {})]
    if hasattr(parameters, "named_parameters"):
        parameters = parameters.named_parameters()
    found = []
    for item in [parameters] if isinstance(parameters, dict) else parameters:
        if isinstance(item, dict):
            if "parameters" not in item:
                raise ValueError(f'a group of parameters has the key "parameters"; this one has {list(item)}.')
            options = {key: value for key, value in item.items() if key != "parameters"}
            found += [(name, p, {**own, **options}) for name, p, own in flatten(item["parameters"])]
        elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            found.append((*item, {}))
        else:
            found.append((None, item, {}))
    return found


def _grouped(parameters, options):
    """Neighbours with the same options become one group."""
    rows = [(name, p, {**own, **options(name, p)}) for name, p, own in flatten(parameters)]
    groups = []
    for chosen, members in itertools.groupby(rows, key=lambda row: row[2]):
        members = [p if name is None else (name, p) for name, p, _ in members]
        groups.append({"parameters": members, **chosen})
    return groups
