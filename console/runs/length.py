"""Lengths of time as people read them."""


def length(us: int) -> str:
    """A length of time as people read it."""
    for unit, name in ((86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min")):
        if us >= unit:
            return f"{us / unit:.1f} {name}"
    return f"{us / 1_000_000:.2f} s" if us >= 1_000_000 else f"{us / 1000:.1f} ms"
