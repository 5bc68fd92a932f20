"""Names of timm's models, known without importing it."""

import pytest
import timm
from timm.models import _registry

from equicoherence.models.timm_names import check_timm_name, is_timm_name, timm_names


def test_the_names_in_timms_source_are_those_that_it_registers():
    names, old = timm_names()
    assert names == set(timm.list_models())
    assert names | old == set(_registry._model_entrypoints)


@pytest.mark.parametrize(
    "name", ["resnet50", "resnet50.a1_in1k", "vit_small_patch14_dinov2.lvd142m", "resnet5", "", "a.b"]
)
def test_a_name_is_one_of_timm_where_timm_says_so(name):
    assert is_timm_name(name) == timm.is_model(name)


def test_a_wrong_name_is_quoted_with_those_near_it():
    with pytest.raises(ValueError, match=r"timm has no model 'resnet5'; near it: resnet50, "):
        check_timm_name("timm:resnet5")
    for model in ("timm:resnet50", "timm:hf-hub:a/b", "hf-hub:a/b", "resnet5"):
        check_timm_name(model)
