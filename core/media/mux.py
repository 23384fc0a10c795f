"""A new soundtrack under an untouched picture: packets are copied, nothing is decoded."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from core.errors import MediaError
from core.media.audio import AudioClip, AudioRequest, stream_audio
from core.media.container import libav_errors, open_container, packets_of, picture_stream
from core.media.limits import DEFAULT_LIMITS, MediaLimits
from core.media.probe import probe
from core.media.whole_file import written_whole
from core.media.write import AudioTrack, EncodeOptions, open_output


def replace_soundtrack(
    video: str | Path,
    audio: AudioClip | Iterable[AudioClip] | str | Path,
    out: str | Path,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> None:
    """Copy the picture of ``video`` and lay ``audio`` under it as AAC, from time 0 on.

    The picture's packets keep their bytes and their distances in time; the first picture moves to time 0. Sound that
    goes on longer than the picture is cut, shorter sound ends early.

    Args:
        video: the film whose picture is kept.
        audio: a clip, clips of one rate and channel count that follow one another, or a file with sound.
        out: where to write; what is there is replaced at the end.
        limits: bounds on the files.

    Raises:
        MediaError: the picture cannot be put into a file of that type untouched, or either file cannot be read.
        ParameterError: the suffix of ``out`` is no film's, or its folder does not exist.
    """
    info = probe(video, limits)
    if info.is_still:
        raise MediaError(f"{info.path.name} is a picture; give a film to lay sound under.")
    clips = stream_audio(audio, AudioRequest(), limits) if isinstance(audio, str | Path) else audio
    with open_container(info.path, limits) as source, written_whole(out) as part:
        stream = picture_stream(source, info.path)
        with open_output(part, stream.time_base or Fraction(1)) as target:
            copy = _copy_of(stream, target, info.path, Path(out))
            sound = AudioTrack(target, clips, EncodeOptions().audio_bit_rate, end_s=info.duration_s)
            for packet in _from_zero(source, stream, info.start_s):
                time_s = (packet.dts or 0) * packet.time_base
                packet.stream = copy
                target.mux_one(packet)
                sound.write_until(time_s)
            sound.finish()


def _copy_of(stream: VideoStream, target: OutputContainer, video: Path, out: Path) -> VideoStream:
    try:
        copy = target.add_stream_from_template(stream)
    except ValueError as error:
        raise MediaError(
            f"{out.suffix} files cannot hold the picture of {video.name} ({stream.codec_context.name}) untouched; "
            "write to .mkv, or convert the film first."
        ) from error
    copy.time_base = stream.time_base
    return copy


def _from_zero(source: InputContainer, stream: VideoStream, start_s: Fraction) -> Iterator[Packet]:
    """The picture's packets with the first picture at time 0."""
    shift = round(start_s / (stream.time_base or 1))
    with libav_errors(source.name):
        for packet in packets_of(source, stream):
            if not packet.size:
                continue
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            yield packet
