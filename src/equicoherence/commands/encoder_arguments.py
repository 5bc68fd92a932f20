"""``--encoder.name``, ``.weights`` and ``.args`` of a command line: the encoder named, with arguments of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import yaml
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from equicoherence.commands.given_values import values_of
from equicoherence.training import EncoderConfig

NAME, ARGS, WEIGHTS = "--encoder.name", "--encoder.args", "--encoder.weights"


def describing_args() -> ConstructorRegistry:
    """Return a context in which the help describes each of ``--encoder.args``, which have no docstring."""
    registry = ConstructorRegistry()

    @registry.struct_rule
    def described(info: StructTypeInfo) -> StructConstructorSpec | None:
        if not isinstance(info.default, dict) or not info.default:
            return None
        fields = [
            StructFieldSpec(name, type(value), value, helptext=f"timm's own argument {name} of this encoder.")
            for name, value in info.default.items()
        ]
        return StructConstructorSpec(instantiate=dict, fields=tuple(fields))

    return registry


def take_encoder(arguments: list[str], start: EncoderConfig) -> tuple[list[str], EncoderConfig]:
    """Take ``--encoder.args`` off a command line; return the rest, and the encoder that it starts from.

    arguments: ``--encoder.args.img-size 64`` sets one argument of timm's, ``--encoder.args '{"img_size": 64}'`` all of
    them. start: a recipe's encoder, whose arguments are of its model, and dropped where ``--encoder.name`` is given;
    ``--encoder.weights``, which says what to start from, drops its name and normalisation, too.
    Raises ValueError for an argument without a value, and for what is no mapping.
    """
    rest: list[str] = []
    given: list[tuple[str, list[str]]] = []
    inside = False
    for argument in arguments:
        if argument.startswith("--"):
            option, equals, value = argument.partition("=")
            option = option.replace("_", "-")
            inside = option == ARGS or option.startswith(f"{ARGS}.")
            if inside:
                given.append((option, [value] if equals else []))
                continue
        if inside:
            given[-1][1].append(argument)
        else:
            rest.append(argument)
    named = any(argument.partition("=")[0] == NAME for argument in rest)
    weights = [" ".join(values) for values in values_of(rest, WEIGHTS)]
    if weights and weights[-1]:
        start = start.starting_from(weights[-1])
    args = {} if named else dict(start.args)
    for option, values in given:
        if option == ARGS:
            args = _mapping(values)
        else:
            args[option.removeprefix(f"{ARGS}.").replace("-", "_")] = _value(option, values)
    return rest, dataclasses.replace(start, args=args)


def _mapping(values: list[str]) -> dict[str, Any]:
    text = " ".join(values)
    try:
        args = yaml.safe_load(text)
    except yaml.YAMLError:
        args = None
    if not isinstance(args, dict) or not all(isinstance(key, str) for key in args):
        raise ValueError(f"{ARGS} must be a mapping such as '{{\"img_size\": 64}}', got {text!r}")
    return args


def _value(option: str, values: list[str]) -> Any:
    if not values:
        raise ValueError(f"{option} has no value: write {option} VALUE")
    try:
        parsed = [yaml.safe_load(value) for value in values]
    except yaml.YAMLError as error:
        raise ValueError(f"{option} cannot be {' '.join(values)!r}: a number, a word or a list is expected") from error
    return parsed[0] if len(parsed) == 1 else parsed
