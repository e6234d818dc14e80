"""What pages call the products of builds, by the words that the builds have for them."""

from ciserver.model.build import Product

_LABELS = {
    ("report", "coverage"): "Coverage report",
    ("doc", "manual"): "Manual",
    ("doc", "readme"): "Read me",
    ("doc", "release-notes"): "Release notes",
    ("doc-pdf", "manual"): "Manual (PDF)",
    ("file", "source-dist"): "Source distribution",
    ("file", "binary-dist"): "Binary distribution",
    ("file", "iso"): "Disk image",
    ("file", "rpm"): "RPM package",
    ("file", "srpm"): "RPM source package",
    ("file", "deb"): "Debian package",
    ("nix-build", ""): "Output",
}
_KINDS = {
    "report": "Report",
    "doc": "Documentation",
    "doc-pdf": "Documentation (PDF)",
    "nix-build": "Output",
    "channel": "Channel",
    "file": "File",
}
READ = {"report", "doc", "doc-pdf"}  # what people read before they fetch anything


def product_label(one: Product) -> str:
    """Its kind in plain words, with those of the build where there are no others."""
    known = _LABELS.get((one.type, one.subtype))
    if known is not None:
        return known
    kind = _KINDS.get(one.type, one.type)
    return f"{kind}: {one.subtype}" if one.subtype else kind
