"""``python -m core.lip_sync inspect|sync|sync-all|say|voices|make|train|evaluate``."""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from core.bulk import Workers
from core.command_line import Answer, add_flags, command, from_flags, progress_line, run
from core.errors import ParameterError
from core.lip_sync import LipSync, SyncConfig, SyncRequest
from core.lip_sync.bulk import rows_of, sync_all
from core.lip_sync.finish import FinishConfig
from core.lip_sync.results import LipSyncResult
from core.lip_sync.speaking import Voices
from core.lip_sync.tracks import FollowConfig
from core.lip_sync.training_commands import add_training_commands
from core.lip_sync.voices import VoiceConfig
from core.media import AudioClip, write_audio
from core.weights.plan import plan_before_loading


def inspect(arguments: argparse.Namespace) -> Answer:
    """Say which faces a film has, and when, how its own sound goes with them, and how long a render will take."""
    found = LipSync(_config(arguments), arguments.cache).inspect(arguments.face, progress_line())
    faces = [{name: value for name, value in asdict(face).items() if name != "thumbnail"} for face in found.faces]
    rest = {name: value for name, value in asdict(found).items() if name not in ("faces", "frames_without_face")}
    return {"results": faces, **rest, "frames_without_face": list(found.frames_without_face)}


def sync(arguments: argparse.Namespace) -> Answer:
    """Let a face say a recording."""
    return _synced(arguments, arguments.speech)


def sync_rows(arguments: argparse.Namespace) -> Answer:
    """Let every face of a table say its recording; every bad row is named, and the rest are made all the same."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows, how = rows_of(arguments.table, arguments.out), from_flags(arguments, Workers)
    found = {r.row: r for r in sync_all(rows, _config(arguments), how, arguments.cache, progress_line())}
    made = [(row.out, found[row].made) for row in rows if not found[row].error]
    return {
        "results": [{"path": out, "status": "made" if one else "known", **(asdict(one) if one else {})}
                    for out, one in made],
        "errors": [{"path": row.out, "error": found[row].error} for row in rows if found[row].error],
    }  # fmt: skip


def say(arguments: argparse.Namespace) -> Answer:
    """Let a face say a text."""
    spoken = Voices().speak(arguments.text, from_flags(arguments, VoiceConfig))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        write_audio(file, AudioClip(spoken.wave[:, None], spoken.sample_rate))
        return _synced(arguments, file) | {"voice": spoken.voice}


def voices(arguments: argparse.Namespace) -> Answer:
    """List the languages and variants that `say` speaks on this profile, and who speaks each language."""
    known = Voices()
    rows = [{"id": code, "name": name, "voice": who} for code, name, who in known.languages()]
    return {"results": rows, "variants": list(known.variants())}


def _synced(arguments: argparse.Namespace, speech: Path | None) -> Answer:
    request = SyncRequest(
        face=arguments.face,
        speech=speech,
        faces=None if arguments.faces is None else tuple(arguments.faces),
        drawn=tuple(_drawn(text) for text in arguments.mouth),
        seconds=arguments.seconds,
        speakers=dict(_speaker(text) for text in arguments.speaker),
    )
    made = LipSync(_config(arguments), arguments.cache).sync(request, arguments.out, progress_line())
    return {"results": [{"path": made.out}], **asdict(made)}


def _drawn(text: str) -> tuple[int, tuple[float, float, float, float]]:
    """A frame and a box, as "12:100,200,160,240".

    Raises:
        ParameterError: the text is none.
    """
    try:
        frame, sides = text.split(":")
        left, top, right, bottom = (float(side) for side in sides.split(","))
        return int(frame), (left, top, right, bottom)
    except ValueError as error:
        raise ParameterError(
            f"The mouth {text!r} is not understood; write FRAME:LEFT,TOP,RIGHT,BOTTOM in pixels."
        ) from error


def _speaker(text: str) -> tuple[int, Path]:
    """A face and what it says, as "2=anna.wav".

    Raises:
        ParameterError: the text is none.
    """
    face, _, file = text.partition("=")
    if not (face.strip().isdecimal() and file):
        raise ParameterError(f"The speaker {text!r} is not understood; write ID=FILE.")
    return int(face), Path(file)


def _config(arguments: argparse.Namespace) -> SyncConfig:
    fields = {name: value for name, value in vars(arguments).items() if name in ("length", "openness", "silence_gate",
                                                                                 "batch_frames")}  # fmt: skip
    return SyncConfig(**fields, finish=from_flags(arguments, FinishConfig), follow=from_flags(arguments, FollowConfig))


def _show_faces(answer: Answer) -> str:
    lines = [
        f"face {face['id']}: {face['start_s']:.2f} to {face['end_s']:.2f} s, {face['width_px']:.0f} px wide"
        for face in answer["results"]
    ]
    missing = len(answer["frames_without_face"])
    lines.append(f"{answer['frame_count']} pictures, {missing} without a face, {answer['frame_rate']:.3f} a second")
    own = answer["sync_unmeasured"] or (
        f"offset {answer['av_offset_frames']:+d} frames, confidence {answer['sync_confidence']:.2f}"
    )
    lines.append(f"its own sound: {own}")
    whole = f", {answer['estimate_s']:.1f} s for all of it" if answer["estimate_s"] else ""
    lines.append(f"a render takes about {answer['seconds_a_second']:.1f} s for each second{whole}")
    return "\n".join(lines)


def _show_rows(answer: Answer) -> str:
    return "\n".join(f"{row['status']}  {row['path']}" for row in answer["results"])


def _show_synced(answer: Answer) -> str:
    made = LipSyncResult(**{name: value for name, value in answer.items() if name not in ("results", "voice")})
    voice = f", spoken by {answer['voice']}" if "voice" in answer else ""
    covered = f", {len(made.frames_covered)} with a covered mouth" if made.frames_covered else ""
    offset = "not told" if made.av_offset_frames is None else f"{made.av_offset_frames:+d} frames"
    return (
        f"{made.out}{voice}\n{made.frames_changed} of {made.frame_count} pictures changed{covered}, "
        f"in {made.seconds_taken:.1f} s; offset {offset}, confidence {made.sync_confidence:.2f}"
    )


def parser() -> argparse.ArgumentParser:
    """The command line of this tool."""
    top = argparse.ArgumentParser(prog="python -m core.lip_sync", description="Let a face say something else.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    looking = command(commands, "inspect", inspect, _show_faces, "say which faces a film has")
    syncing = command(commands, "sync", sync, _show_synced, "let a face say a recording")
    saying = command(commands, "say", say, _show_synced, "let a face say a text")
    many = command(commands, "sync-all", sync_rows, _show_rows, "let each face of a table say a recording")
    many.add_argument("table", type=Path, metavar="ROWS.csv", help="columns face, speech and, where wanted, out")
    many.add_argument("--out", type=Path, required=True, help="folder for the films; those that are there are kept")
    add_flags(many, Workers)
    for one in (looking, syncing, saying):
        one.add_argument("face", type=Path, metavar="FACE", help="a film, an animation or a picture")
    for one in (looking, syncing, saying, many):
        one.add_argument("--cache", type=Path, help="folder for what may be used again")
        for config in (SyncConfig, FinishConfig, FollowConfig):
            add_flags(one, config)
    syncing.add_argument("speech", type=Path, metavar="SPEECH", nargs="?", help="what the chosen faces say")
    saying.add_argument("text", metavar="TEXT")
    add_flags(saying, VoiceConfig)
    for one in (syncing, saying):
        one.add_argument("--out", type=Path, required=True)
        one.add_argument("--faces", type=int, nargs="*", metavar="ID", help="who speaks (default: the largest)")
        one.add_argument(
            "--mouth", action="append", default=[], metavar="FRAME:L,T,R,B", help="a mouth, drawn as a box"
        )
        one.add_argument(
            "--speaker", action="append", default=[], metavar="ID=FILE", help="a face that says something of its own"
        )
        one.add_argument("--seconds", type=float, help="only the beginning, for a test")
    command(commands, "voices", voices, _show_voices, "list languages and variants")
    add_training_commands(commands)
    return top


def _show_voices(answer: Answer) -> str:
    lines = [f"{row['id']:10} {row['name']} ({row['voice']})" for row in answer["results"]]
    return "\n".join([*lines, f"variants: {', '.join(answer['variants'])}"])


if __name__ == "__main__":
    sys.exit(run(parser(), before=lambda: plan_before_loading(["lip_sync"])))
