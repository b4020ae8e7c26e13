import pytest

from tests.gateway.links.http_upstream import permit


def test_a_permit_cannot_be_changed_and_does_not_show_its_arguments() -> None:
    granted = permit(arguments=b'{"text":"hunter2"}')
    assert "hunter2" not in repr(granted)
    assert "hunter2" not in f"{granted}"
    with pytest.raises(AttributeError):
        granted.arguments = b"{}"  # type: ignore[misc]  # what is tried here
    with pytest.raises(AttributeError):
        object.__setattr__(granted, "arguments", b"{}")
