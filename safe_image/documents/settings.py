"""The values of `--set`, which the file itself does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import UsageError


@dataclass(frozen=True)
class Settings:
    """The values that the user set.

    :param values: the values, by name.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Settings:
        """The settings of a command line.

        :param texts: such as `Tag=1.4`.
        :raises UsageError: if a text has another form.
        """
        values = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not name or not equals:
                raise UsageError(f"--set {text!r}: use NAME=VALUE, such as Tag=1.4")
            values[name] = value
        return cls(values)

    def get(self, name: str) -> str | None:
        """The value of a name; None where the user set none.

        :param name: such as `Tag`.
        """
        self._used.add(name)
        return self.values.get(name)

    def accept(self, names: Iterable[str]) -> None:
        """Accept values for some names, whether or not an image depends on them.

        :param names: such as all parameters of a template.
        """
        self._used.update(names)

    def check_all_used(self, files: str) -> None:
        """Refuse a name that no file has, since its value would change nothing.

        :param files: the files, for the message.
        :raises UsageError: if there is one.
        """
        unused = [name for name in self.values if name not in self._used]
        if unused:
            raise UsageError(f"--set {unused[0]}: {files} has nothing of this name")
