"""What level files say of pictures and music, on small made-up games laid out as the packages are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import MediaOpenError
from core.music_matching.games import MOST_PLACES, game_places, pan_and_zoom, picture_of


def put(path: Path, text: str | bytes = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def paint(path: Path, colour: tuple[int, ...], size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(path)
    return path


@pytest.fixture
def games(tmp_path: Path) -> Path:
    data = tmp_path / "hedgewars/usr/share/games/hedgewars/Data"
    put(data / "Themes/Snow/theme.cfg", "sky = 10, 20, 0x1E\nmusic = snow.ogg\nobject = tree, 1\n")
    for name in ("Sky.png", "horizont.png", "LandTex.png"):
        paint(data / "Themes/Snow" / name, (200, 210, 220, 0 if name == "horizont.png" else 255))
    put(data / "Music/Snow.ogg")
    put(data / "Maps/Alps/map.cfg", "Snow\n4\n")
    paint(data / "Maps/Alps/preview.png", (1, 2, 3))

    data = tmp_path / "supertux/usr/share/games/supertux2"
    put(data / "levels/world1/ice.stl", (
        '(supertux-level\n  (name (_ "Ice Cave"))\n  (sector\n    (name "main")\n    (gradient\n'
        '      (top_color 1 0.5 0)\n    )\n'
        '    (background\n      (image "images/background/far.png")\n      (z-pos -300)\n    )\n'
        '    (background\n      (image "images/background/fog.png")\n    )\n'
        '    (background\n      (image "images/background/near.png")\n      (z-pos -200)\n    )\n'
        '    (music\n      (file "music/ice/ice.music")\n    )\n  )\n)\n'))  # fmt: skip
    put(data / "music/ice/ice.music", '(supertux-music\n  (file "cold.ogg")\n)\n')
    put(data / "music/ice/cold.ogg")
    for name in ("near", "far", "fog"):
        paint(data / f"images/background/{name}.png", (9, 9, 9, 100))

    data = tmp_path / "supertuxkart/usr/share/games/supertuxkart/data"
    put(
        data / "tracks/farm/track.xml",
        '<track  name = "Farm"\n music = "farm.music gone.music"\n screenshot = "shot.jpg">',
    )
    put(data / "music/farm.music", '<music title = "Farm"\n file     = "farm.ogg" fast-filename = "farm_fast.ogg"/>')
    put(data / "music/farm.ogg")
    paint(data / "tracks/farm/shot.jpg", (0, 99, 0))

    data = tmp_path / "wesnoth/usr/share/games/wesnoth/1.16/data"
    put(data / "campaigns/Quest/scenarios/01.cfg", (
        'name= _ "The Ford"\n{INTRO_AND_SCENARIO_MUSIC "intro.ogg" "battle.ogg"}\n[story]\n'
        "[part]\n background=story/ford.jpg\n[/part]\n[part]\n music=sad.ogg\n background=\"story/ruin.jpg\"\n[/part]\n"
        "[part]\n background=portraits/hero.png\n[/part]\n[/story]\n"))  # fmt: skip
    paint(data / "campaigns/Quest/images/story/ford.jpg", (0, 0, 99))
    paint(data / "core/images/story/ruin.jpg", (99, 0, 0))
    for name in ("intro", "battle", "sad"):
        put(data / f"core/music/{name}.ogg")

    data = tmp_path / "neverball/usr/share/games/neverball"
    for number in range(MOST_PLACES + 5):
        put(data / f"map-easy/l{number:02}.sol", b"\0\1shot\0shot-easy/%02d.png\0song\0bgm/track1.ogg\0\x02" % number)
        paint(data / f"shot-easy/{number:02}.png", (number, 0, 0))
    put(data / "bgm/track1.ogg")

    data = tmp_path / "extremetuxracer/usr/share/games/etr"
    put(data / "music/music.lst", "# list\n*[name] race_1 [file] race.ogg\n*[name] calmrace [file] calm.ogg")
    put(data / "music/racing_themes.lst", "*[name] normal [race] race_1\n*[name] calm [race] calmrace [wonrace] w")
    put(data / "courses/events.lst", (
        "*[struct] 0 [race] bunny [group] default [course] hill [light] sunny\n[time] 1 2 3 [theme] calm\n\n"
        "*[struct] 0 [race] bumpy [group] default [course] hill\n*[struct] 1 [cup] c [name] Cup\n"))  # fmt: skip
    for name in ("race", "calm"):
        put(data / f"music/{name}.ogg")
    paint(data / "courses/default/hill/preview.png", (250, 250, 255))
    return tmp_path


def test_every_game_ties_its_pictures_to_the_music_that_its_files_name(games: Path) -> None:
    told = {(p.game, p.name, tuple(layer.name for layer in p.layers), p.track.name) for p in game_places(games)}
    assert {place for place in told if place[0] != "neverball"} == {
        ("hedgewars", "Snow", ("Sky.png", "horizont.png"), "Snow.ogg"),
        ("hedgewars", "Snow ground", ("LandTex.png",), "Snow.ogg"),
        ("hedgewars", "Alps", ("preview.png",), "Snow.ogg"),
        ("supertux", "Ice Cave", ("far.png", "near.png"), "cold.ogg"),
        ("supertuxkart", "Farm", ("shot.jpg",), "farm.ogg"),
        ("wesnoth", "The Ford", ("ford.jpg",), "intro.ogg"),
        ("wesnoth", "The Ford", ("ruin.jpg",), "sad.ogg"),
        ("extremetuxracer", "bunny", ("preview.png",), "calm.ogg"),
        ("extremetuxracer", "bumpy", ("preview.png",), "race.ogg"),
    }
    neverball = [place for place in told if place[0] == "neverball"]
    assert len(neverball) == MOST_PLACES and {place[3] for place in neverball} == {"track1.ogg"}


def test_layers_lie_over_the_sky_in_their_order(games: Path) -> None:
    (place,) = (p for p in game_places(games) if p.game == "supertux")
    assert place.sky == (255, 128, 0)
    share = 100 / 255
    once = np.array(place.sky) * (1 - share) + 9 * share
    twice = once * (1 - share) + 9 * share
    assert np.asarray(picture_of(place))[100, 100] == pytest.approx(twice, abs=2)


def test_a_folder_without_games_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaOpenError, match="holds none of the games"):
        game_places(tmp_path)


def test_pan_and_zoom_shows_parts_of_the_picture_and_is_the_same_each_time() -> None:
    columns = np.repeat(np.linspace(0, 255, 320).astype(np.uint8)[None, :, None], 240, 0).repeat(3, 2)
    frames = pan_and_zoom(Image.fromarray(columns), 5, 64, seed=3)
    assert frames.shape == (5, 64, 64, 3) and np.array_equal(frames, pan_and_zoom(Image.fromarray(columns), 5, 64, 3))
    widths = [int(frame[0, -1, 0]) - int(frame[0, 0, 0]) for frame in frames]
    assert all(0.55 * 255 <= width <= 255 for width in widths)
    assert not np.array_equal(frames[0], frames[-1])
