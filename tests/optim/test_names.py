"""Names that PyTorch has and optim has not: the sentence says what to write instead, and what it says is true."""

import pytest

import tinygrad_sm as tg
from tinygrad_sm import optim


@pytest.mark.parametrize(("name", "instead"), [("lr_scheduler", "StepLR"), ("clip_grad_norm_", "clip_grad_norm")])
def test_a_name_of_pytorch_is_answered_with_what_to_write(name, instead):
    with pytest.raises(AttributeError, match=rf"^tg\.optim has no {name}: .*tg\.optim\.{instead}\b[^_]*$") as caught:
        getattr(optim, name)
    assert hasattr(tg.optim, instead) and caught.value.name is None


def test_other_names_are_answered_by_python_and_nothing_else_changes():
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_sm\.optim' has no attribute 'Adm'$") as caught:
        optim.Adm  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Adm", optim)
    assert not hasattr(optim, "lr_scheduler")
    starred = {}
    exec("from tinygrad_sm.optim import *", starred)
    assert {*starred} - {"__builtins__"} == {*optim.__all__}
    modules = {"checks", "clipping", "optimizers", "schedulers"}
    assert {name for name in dir(optim) if not name.startswith("_")} - modules == {*optim.__all__}
