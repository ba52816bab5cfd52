"""What is published only with consent and a known license."""

from dataclasses import replace

import pytest

from scripts._define.consent import check_consent
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError


@pytest.mark.parametrize("license", ["", " ", "unknown", "Unknown, see https://example.org", "TODO", "n/a", "?"])
def test_a_license_that_nobody_has_looked_up_is_not_published(small, license):
    definition = replace(read_definition("small", root=small), license=license)
    with pytest.raises(ScriptError, match=r"set the license in params\.yaml"):
        check_consent(definition, public=True, action="push")


def test_a_known_license_is_published_with_consent(small):
    definition = read_definition("small", root=small)
    check_consent(definition, public=True, action="push")
    with pytest.raises(ScriptError, match="make push DATASET=small PUBLIC=1"):
        check_consent(definition, public=False, action="push")
