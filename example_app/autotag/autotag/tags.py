"""Reduces a text, a page or an image to a few tags for its subject."""

from __future__ import annotations

import colorsys
import io
from html.parser import HTMLParser

MAX_TAGS = 8
MAX_PIXELS = 50_000_000
_HIDDEN = frozenset({"script", "style", "noscript", "template", "svg"})
_HUES = (
    (15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (200, "cyan"), (260, "blue"), (330, "purple"),
    (360, "red"),
)  # fmt: skip


class UnreadableError(ValueError):
    """The body cannot be read as what its Content-Type says."""


def suggest(content_type: str, body: bytes) -> list[str]:
    """The tags of a body, the most significant first. Raises `UnreadableError`."""
    if content_type.startswith("image/"):
        return of_image(body)
    if content_type == "text/html":
        return of_text(text_of_page(body.decode("utf-8", "replace")))
    if content_type.startswith("text/"):
        return of_text(body.decode("utf-8", "replace"))
    raise UnreadableError(f"{content_type} is neither text/*, text/html nor image/*")


def of_text(text: str) -> list[str]:
    """Words and pairs of words that stand out: frequent in the text, but not in every sentence of it."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    sentences = [part.strip() for part in text.replace("\n", ". ").split(". ") if part.strip()]
    vectorizer = TfidfVectorizer(
        stop_words="english",
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\b[^\W\d_]{3,}\b",  # noqa: S106  a pattern, not a password
    )
    try:
        weights = vectorizer.fit_transform(sentences).sum(axis=0).A1
    except ValueError:  # no word left
        return []
    ranked = sorted(zip(-weights, vectorizer.get_feature_names_out(), strict=True))
    return [str(tag) for _, tag in ranked[:MAX_TAGS]]


def text_of_page(page: str) -> str:
    """The text that a reader of an HTML page sees."""
    reader = _PageReader()
    reader.feed(page)
    return " ".join(reader.parts)


def of_image(body: bytes) -> list[str]:
    """An image's kind, shape, size and main colours."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(body)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableError(f"the image has more than {MAX_PIXELS} pixels")
            kind = (image.format or "").lower()
            shape = _shape(image.width, image.height)
            size = "large" if image.width * image.height >= 2_000_000 else "small"
            pixels = list(image.convert("RGB").resize((48, 48)).getdata())
    except UnreadableError:
        raise
    except Exception as error:  # Pillow's plugins raise what their format's parser raises
        raise UnreadableError(f"the image cannot be read: {error}") from error
    return list(dict.fromkeys([kind, shape, size, *_colours(pixels)]))


def _shape(width: int, height: int) -> str:
    ratio = width / height
    return "square" if 0.95 < ratio < 1.05 else "landscape" if ratio > 1 else "portrait"


def _colours(pixels: list[tuple[int, int, int]]) -> list[str]:
    """The names of the main colours, the most frequent first."""
    from sklearn.cluster import KMeans

    clusters = KMeans(n_clusters=min(4, len(set(pixels))), n_init=2, random_state=0).fit(pixels)
    counts = [(clusters.labels_ == number).sum() for number in range(len(clusters.cluster_centers_))]
    ranked = sorted(zip(counts, clusters.cluster_centers_.tolist(), strict=True), reverse=True)
    return [_colour(*centre) for count, centre in ranked if count >= len(pixels) / 10]


def _colour(red: float, green: float, blue: float) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if lightness > 0.92:
        return "white"
    if lightness < 0.1:
        return "black"
    if saturation < 0.15:
        return "grey"
    return next(name for limit, name in _HUES if hue * 360 <= limit)


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.parts.append(data.strip())
