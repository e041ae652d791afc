"""Settings: text from the command line, checked against the parts' fields."""

from dataclasses import dataclass

import pytest

from openuni.config import configured, parse_settings, refuse_unknown_parts
from openuni.errors import BadInput, UnknownName


@dataclass
class Part:
    count: int = 3
    rate: float | None = 2.0
    name: str = "x"
    sharp: bool = False
    steps: tuple[float, ...] = (1.0,)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("part.count=5", "count", 5),
        ("part.rate=4", "rate", 4.0),
        ("part.rate=none", "rate", None),
        ("part.name=5", "name", "5"),
        ("part.sharp=true", "sharp", True),
        ("part.steps=(1.5, 2.5)", "steps", (1.5, 2.5)),
        ("part.steps=[3.0]", "steps", (3.0,)),
    ],
)
def test_text_becomes_a_value_of_the_fields_type(text, field, value):
    part = configured(Part, parse_settings([text])["part"], part="part")
    assert getattr(part, field) == value and type(getattr(part, field)) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part.count=1.5", "--set part.count=1.5: expected int."),
        ("part.count=none", "expected int."),
        ("part.sharp=1", "expected bool."),
        ("part.rate=fast", "expected float or none."),
        ("part.cuont=1", "Unknown parameter of part 'cuont'. Did you mean 'count'?"),
    ],
)
def test_a_text_that_does_not_fit_says_what_was_expected(text, message):
    with pytest.raises(BadInput) as error:
        configured(Part, parse_settings([text])["part"], part="part")
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["part", "part.count", "count=1", ".count=1", "part.=1"])
def test_a_setting_of_another_form_is_a_mistake(text):
    with pytest.raises(BadInput, match=r"write part\.parameter=value"):
        parse_settings([text])


def test_a_part_that_the_run_does_not_have_is_named():
    with pytest.raises(UnknownName, match="Unknown part in --set 'flwo'. Did you mean 'flow'"):
        refuse_unknown_parts({"flwo": {}}, ["flow", "depth"])
