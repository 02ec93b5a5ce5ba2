"""A configuration file applied to policies: what it sets for an image, below the options of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from image_verifier.image.model import Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.rules.requirement_types import Requirement
from image_verifier.rules.usual_platform import usual_platform

from ..errors import UsageError
from .image_settings import ImageSettings, Section, settings_of
from .sizes import parse_size
from .toml_file import find, read

_NOTHING: Final = ImageSettings()
_FARGATE: Final = Policy(("fargate",), Platform("linux", "amd64"))


@dataclass(frozen=True)
class Configuration:
    """A configuration file.

    :param file: its path; None where there is no file.
    :param settings: the settings for all images.
    :param sections: the settings for the images that match a pattern; later ones win.
    """

    file: Path | None = None
    settings: ImageSettings = _NOTHING
    sections: tuple[Section, ...] = ()

    def settings_for(self, names: Iterable[str]) -> ImageSettings:
        """The settings for an image.

        :param names: the image's names: its reference, the construct that builds it.
        """
        called = {form for name in names for form in _forms(name)}
        settings = self.settings
        for section in self.sections:
            if any(fnmatchcase(form, pattern) for form in called for pattern in section.match):
                settings = section.settings.over(settings)
        return settings

    def policy(self, base: Policy, names: Iterable[str] = ()) -> Policy:
        """The policy of an image that has none of its own.

        :param base: the policy where the file sets nothing.
        :param names: the image's names.
        :raises UsageError: if no image can meet the policy.
        """
        settings = self.settings_for(names)
        values: dict[str, Any] = {
            "runs_on": settings.runs_on,
            "platform": Platform.parse(
                settings.platform or usual_platform(settings.runs_on or base.runs_on, str(base.platform))
            ),
            "min_size": parse_size("min-size", settings.min_size or None),
            "max_size": parse_size("max-size", settings.max_size or None),
            "fail_on": settings.fail_on,
        }
        return self._with_lists(
            replace(base, **{name: v for name, v in values.items() if v not in (None, ())}), settings
        )

    def added(self, own: Policy, names: Iterable[str] = ()) -> Policy:
        """The policy of an image that has one of its own, such as its verification's, with the additions of the file.

        :param own: the image's own policy.
        :param names: the image's names.
        :raises UsageError: if no image can meet the policy.
        """
        settings = self.settings_for(names)
        bounded = replace(
            own,
            min_size=own.min_size or parse_size("min-size", settings.min_size or None),
            max_size=own.max_size or parse_size("max-size", settings.max_size or None),
        )
        return self._with_lists(bounded, settings)

    def _with_lists(self, policy: Policy, settings: ImageSettings) -> Policy:
        required = (*policy.require, *map(Requirement.parse, settings.require))
        return replace(
            policy,
            verify_layers=policy.verify_layers or bool(settings.layers),
            require=tuple(dict.fromkeys(required)),
            acknowledge={**{w.finding: w.reason for w in settings.acknowledge}, **policy.acknowledge},
        )

    def check(self) -> None:
        """Check every section, so that a wrong value is reported with its place.

        :raises UsageError: if a section has a value that no image can meet.
        """
        for place, settings in self._places():
            try:
                Configuration(settings=settings).policy(_FARGATE)
            except (ValueError, UsageError) as e:
                message = str(e)
                for key in ("runs_on", "min_size", "max_size"):
                    message = message.replace(key, key.replace("_", "-"))
                raise UsageError(f"{place}: {message}") from e

    def _places(self) -> Iterator[tuple[str, ImageSettings]]:
        yield str(self.file), self.settings
        for number, section in enumerate(self.sections, start=1):
            yield f"{self.file}: images[{number}]", section.settings.over(self.settings)


def load(file: str | None, *, isolated: bool, folder: Path | None = None, today: date | None = None) -> Configuration:
    """The configuration of a run.

    :param file: the file that `--config` names; None searches upwards from the folder.
    :param isolated: whether no file is read at all.
    :param folder: where the search begins; None for the working folder.
    :param today: the day, by which an acknowledgement expires; None for that of the clock.
    :raises UsageError: if the file cannot be read, or has a wrong key or value.
    """
    if isolated:
        if file is not None:
            raise UsageError(f"--config {file} and --isolated exclude each other: leave out one of them")
        return Configuration()
    if file == "":
        raise UsageError("--config is empty: use the path of a file")
    path = Path(file) if file is not None else find(folder or _working_folder())
    if path is None:
        return Configuration()
    settings, sections = settings_of(read(path), str(path), today or date.today())
    configuration = Configuration(path, settings, sections)
    configuration.check()
    return configuration


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working folder was removed: change to another folder, or pass --isolated") from None


def _forms(name: str) -> Iterator[str]:
    """The forms of a name that a pattern may match: whole, without the tag or digest, without the registry."""
    yield name
    try:
        reference = Reference.parse(name)
    except ValueError:
        return
    whole = name.partition("@")[0]
    without_tag = whole[: whole.rindex(":")] if ":" in whole.rpartition("/")[2] else whole
    tail = name[len(without_tag) :]
    yield from (without_tag, reference.repository, reference.repository + tail)


def shown(settings: ImageSettings) -> Mapping[str, Any]:
    """The settings that are set, by their keys in the file.

    :param settings: the settings.
    """
    values: dict[str, Any] = {
        "runs-on": list(settings.runs_on),
        "platform": settings.platform,
        "layers": settings.layers,
        "min-size": settings.min_size,
        "max-size": settings.max_size,
        "fail-on": settings.fail_on.value if settings.fail_on else None,
        "require": list(settings.require),
        "acknowledge": [
            {"id": w.finding, "reason": w.reason, **({"expires": w.expires.isoformat()} if w.expires else {})}
            for w in settings.acknowledge
        ],
    }
    return {key: value for key, value in values.items() if value not in (None, "", [])}
