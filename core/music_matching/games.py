"""Pictures and music that game designers put together: what the level files of free games say of it.

Six games tie a picture to a track: the theme of a Hedgewars map, the background of a SuperTux sector, the screenshot of
a SuperTuxKart track, the story picture of a Wesnoth scenario, the shot of a Neverball level, the preview of an Extreme
Tux Racer course. Others (Freedroid, Warzone, Planet Blupi, LinCity, ASC) play their music wherever, and Pingus has only
tracker modules: their tracks serve as unpaired candidates.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import MediaOpenError

Colour = tuple[int, int, int]
SIZE = (640, 480)
BLACK: Colour = (0, 0, 0)
MOST_PLACES = 8


@dataclass(frozen=True)
class GamePlace:
    """A place of a game: pictures that lie over one another, the hindmost first, and the track that is played there."""

    game: str
    name: str
    layers: tuple[Path, ...]
    track: Path
    sky: Colour = BLACK


def game_places(folder: Path) -> list[GamePlace]:
    """The places of the games below a folder, each as a Debian package unpacks it; no pair of picture and track twice.

    Of a track that is played in many places, `MOST_PLACES` are kept.

    Args:
        folder: holds one folder for each game, named as in `GAMES`; games that are not there are passed over.

    Raises:
        MediaOpenError: none of them is there.
    """
    found = {
        (place.layers, place.track): place
        for game, read in GAMES.items()
        for place in (read(folder / game) if (folder / game).is_dir() else ())
        if place.layers and place.track.is_file() and all(layer.is_file() for layer in place.layers)
    }
    if not found:
        raise MediaOpenError(f"{folder} holds none of the games {', '.join(GAMES)}; unpack their data packages there.")
    ordered = sorted(found.values(), key=lambda place: (place.game, str(place.track), place.name))
    return [place for _, group in groupby(ordered, lambda place: place.track) for place in _spread(list(group))]


def _spread(places: list[GamePlace]) -> list[GamePlace]:
    """At most `MOST_PLACES` of them, evenly spread."""
    count = min(len(places), MOST_PLACES)
    return [places[index * len(places) // count] for index in range(count)]


def picture_of(place: GamePlace) -> Image.Image:
    """The place as one picture of at most `SIZE`: every layer scaled to cover it, laid over the ones before."""
    canvas = Image.new("RGB", SIZE, place.sky)
    for layer in place.layers:
        with Image.open(layer) as opened:
            picture = opened.convert("RGBA")
        scale = max(SIZE[0] / picture.width, SIZE[1] / picture.height)
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
        left, top = (SIZE[0] - picture.width) // 2, SIZE[1] - picture.height
        canvas.paste(picture, (left, top), picture)
    return canvas


def pan_and_zoom(picture: Image.Image, count: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    """A film of a still picture, as its maker would pan and zoom over it: uint8 (count, side, side, 3).

    Args:
        picture: RGB.
        count: pictures.
        side: of each, in pixels; the whole of the window is fitted into it.
        seed: chooses where the window goes and how much it narrows, from all of the picture down to 60 %.
    """
    random = np.random.default_rng(seed)
    zooms, begin, end = random.uniform(0.6, 1.0, 2), random.uniform(0, 1, 2), random.uniform(0, 1, 2)
    frames = []
    for moment in np.linspace(0, 1, count):
        zoom = zooms[0] + (zooms[1] - zooms[0]) * moment
        width, height = zoom * picture.width, zoom * picture.height
        x, y = begin + (end - begin) * moment
        left, top = x * (picture.width - width), y * (picture.height - height)
        box = (left, top, left + width, top + height)
        frames.append(np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box)))
    return np.stack(frames)


def _hedgewars(folder: Path) -> Iterator[GamePlace]:
    """Themes with sky, horizon and ground; and maps, each with the theme that it names."""
    data = next(folder.rglob("Data"))
    tracks: dict[str, tuple[Path, Colour]] = {}
    for config in sorted(data.glob("Themes/*/theme.cfg")):
        told = dict(re.findall(r"^(\w[\w-]*) *= *(.+?) *$", config.read_text("utf-8", "replace"), re.MULTILINE))
        name = told.get("music", "")
        track = next((t for t in data.glob("Music/*.ogg") if t.name.lower() == name.lower()), None)
        if track is None:
            continue
        red, green, blue = (int(number, 0) for number in told.get("sky", "0, 0, 0").split(",")[:3])
        theme = config.parent
        tracks[theme.name] = track, (red, green, blue)
        layers = [theme / name for name in ("Sky.png", "horizont.png") if (theme / name).is_file()]
        yield GamePlace("hedgewars", theme.name, tuple(layers), track, (red, green, blue))
        yield GamePlace("hedgewars", f"{theme.name} ground", (theme / "LandTex.png",), track, (red, green, blue))
    for config in sorted(data.glob("Maps/*/map.cfg")):
        theme_name = (config.read_text("utf-8", "replace").split() or [""])[0]
        if theme_name in tracks:
            track, sky = tracks[theme_name]
            picture = config.parent / ("map.png" if (config.parent / "map.png").is_file() else "preview.png")
            yield GamePlace("hedgewars", config.parent.name, (picture,), track, sky)


def _supertux(folder: Path) -> Iterator[GamePlace]:
    """Sectors: the backgrounds in the order of their depth, over the gradient."""
    data = next(folder.rglob("supertux2"))
    for level in sorted([*data.rglob("*.stl"), *data.rglob("*.stwm")]):
        text = level.read_text("utf-8", "replace")
        name = (re.search(r'\(name\s+(?:\(_\s+)?"([^"]+)"', text) or [level.stem, level.stem])[1]
        for sector in re.split(r"\n  \(sector\b", text)[1:]:
            music = re.search(r'\(music\s+(?:\(file\s+)?"([^"]+)"', sector)
            if music:
                track = _supertux_track(data, music[1])
                backgrounds = []
                for block in re.findall(r"\(background\b(.*?)\n    \)", sector, re.DOTALL):
                    image = re.search(r'\(image\s+"([^"]+)"', block)
                    depth = re.search(r"\((?:z-pos|layer)\s+(-?\d+)", block)
                    if image and "fog" not in image[1] and "vignette" not in image[1]:
                        backgrounds.append((int(depth[1]) if depth else -200, data / image[1].lstrip("/")))
                layers = tuple(dict.fromkeys(path for _, path in sorted(backgrounds) if path.is_file()))
                yield GamePlace("supertux", name, layers, track, _supertux_sky(sector))


def _supertux_track(data: Path, name: str) -> Path:
    path = data / name.lstrip("/")
    if path.suffix == ".music" and path.is_file():
        inner = re.search(r'\(file\s+"([^"]+)"', path.read_text("utf-8", "replace"))
        if inner:
            return data / inner[1].lstrip("/") if inner[1].startswith("/") else path.parent / inner[1]
    return path


def _supertux_sky(sector: str) -> Colour:
    found = re.search(r"\(top_color ([\d.]+) ([\d.]+) ([\d.]+)", sector)
    red, green, blue = (round(255 * min(1.0, float(found[n]))) for n in (1, 2, 3)) if found else BLACK
    return red, green, blue


def _supertuxkart(folder: Path) -> Iterator[GamePlace]:
    data = next(folder.rglob("tracks")).parent
    for config in sorted(data.glob("tracks/*/track.xml")):
        told = dict(re.findall(r'([\w-]+)\s*=\s*"([^"]*)"', config.read_text("utf-8", "replace")))
        for music in told.get("music", "").split():
            places = (config.parent / music, data / "music" / music)
            described = next((place for place in places if place.is_file()), None)
            file = re.search(r'\bfile\s*=\s*"([^"]+)"', described.read_text("utf-8", "replace")) if described else None
            if described and file:
                shot = config.parent / told.get("screenshot", "")
                yield GamePlace("supertuxkart", told.get("name", ""), (shot,), described.parent / file[1])


def _wesnoth(folder: Path) -> Iterator[GamePlace]:
    """Story pictures: each with the music of its part, else with that of the introduction; portraits are left out."""
    data = next(folder.rglob("campaigns")).parent
    music = data / "core" / "music"
    for scenario in sorted(data.glob("campaigns/*/scenarios/**/*.cfg")):
        text = scenario.read_text("utf-8", "replace")
        intro = re.search(r'\{INTRO_AND_SCENARIO_MUSIC\s+"?([\w.-]+)"?\s+"?([\w.-]+)', text)
        alone = re.search(r'\{SCENARIO_MUSIC\s+"?([\w.-]+)', text)
        playing = intro[1] if intro else alone[1] if alone else ""
        name = (re.search(r'^\s*name=\s*_\s*"([^"]+)"', text, re.MULTILINE) or [scenario.stem, scenario.stem])[1]
        campaign = data.joinpath("campaigns", scenario.relative_to(data / "campaigns").parts[0])
        for part in re.findall(r"\[part\](.*?)\[/part\]", text, re.DOTALL):
            told = re.search(r'^\s*music="?([\w.-]+)', part, re.MULTILINE)
            playing = told[1] if told else playing
            for picture in re.findall(r'(?:background|image)="?([\w./ -]+\.(?:jpg|png|webp))', part):
                if playing and not re.search(r"portraits|characters|icon|misc/", picture):
                    yield GamePlace("wesnoth", name, (_wesnoth_picture(data, campaign, picture),), music / playing)


def _wesnoth_picture(data: Path, campaign: Path, name: str) -> Path:
    places = (campaign / "images" / name, data / "core" / "images" / name, data.parent / name)
    return next((place for place in places if place.is_file()), places[0])


def _neverball(folder: Path) -> Iterator[GamePlace]:
    """Levels: the compiled files hold names and values as text, one after the other."""
    data = next(folder.rglob("map-easy")).parent
    for level in sorted(data.glob("map-*/*.sol")):
        words = re.findall(rb"[\x20-\x7e]{2,}", level.read_bytes()[:20000])
        told = {key.decode(): value.decode() for key, value in pairwise(words)}
        shot, song = told.get("shot", ""), told.get("song", "")
        if shot and song:
            yield GamePlace("neverball", level.stem, (data / shot,), data / song)


def _extremetuxracer(folder: Path) -> Iterator[GamePlace]:
    """Races: each names a course and the theme of its music; without a theme it is the first one."""
    data = next(folder.rglob("courses")).parent
    told = {
        file.stem: [dict(re.findall(r"\[(\w+)\] *([^\[\n]+?) *(?=\[|$)", line)) for line in _records(file)]
        for file in (
            data / "music" / "music.lst",
            data / "music" / "racing_themes.lst",
            data / "courses" / "events.lst",
        )
    }
    files = {row["name"]: row["file"] for row in told["music"]}
    themes = {row["name"]: row["race"] for row in told["racing_themes"]}
    for row in told["events"]:
        if "course" in row:
            track = data / "music" / files[themes[row.get("theme", "normal")]]
            shot = data / "courses" / row.get("group", "default") / row["course"] / "preview.png"
            yield GamePlace("extremetuxracer", row["race"], (shot,), track)


def _records(file: Path) -> list[str]:
    """The records of a list of Extreme Tux Racer; each begins with a star and may go on over several lines."""
    lines = [line for line in file.read_text("utf-8", "replace").splitlines() if not line.startswith("#")]
    return [" ".join(record.split()) for record in "\n".join(lines).split("*")[1:]]


GAMES: dict[str, Callable[[Path], Iterator[GamePlace]]] = {
    "extremetuxracer": _extremetuxracer,
    "hedgewars": _hedgewars,
    "neverball": _neverball,
    "supertux": _supertux,
    "supertuxkart": _supertuxkart,
    "wesnoth": _wesnoth,
}
