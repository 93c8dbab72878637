"""A page as a browser would read it: elements, attributes and texts."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta"}


@dataclass
class Node:
    tag: str
    attributes: dict
    children: list = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(one if isinstance(one, str) else one.text for one in self.children)

    def all(self, tag: str = "") -> list["Node"]:
        """Return all elements below, of one tag or of any."""
        found = []
        for one in self.children:
            if isinstance(one, Node):
                found += [one, *one.all()]
        return [one for one in found if not tag or one.tag == tag]

    def within(self, name: str) -> "Node":
        """Return the section whose heading has this id."""
        (found,) = [one for one in self.all("section") if one.attributes.get("aria-labelledby") == name]
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("", {})
        self._path = [self.root]

    def handle_starttag(self, tag, attributes) -> None:
        node = Node(tag, dict(attributes))
        self._path[-1].children.append(node)
        if tag not in VOID:
            self._path.append(node)

    def handle_endtag(self, tag) -> None:
        assert self._path.pop().tag == tag, f"</{tag}> ends something else"

    def handle_data(self, data) -> None:
        self._path[-1].children.append(data)

    def handle_comment(self, data) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def handle_pi(self, data) -> None:
        raise AssertionError(f"a processing instruction: {data!r}")


def read(markup: str | bytes) -> Node:
    """Return the root of what ``markup`` says; fail where elements overlap, or are left open."""
    reader = _Reader()
    reader.feed(markup if isinstance(markup, str) else markup.decode())
    reader.close()
    assert reader._path == [reader.root], [node.tag for node in reader._path]
    return reader.root
