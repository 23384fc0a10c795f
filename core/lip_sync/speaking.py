"""Who says a text: espeak-ng, or on the hub profile a neural voice where it can (METHODS 4, text input)."""

import threading
from dataclasses import replace

from core.errors import ParameterError
from core.lip_sync.neural_voice import SPEAKERS, WEIGHTS, NeuralVoice
from core.lip_sync.voices import ESPEAK, Spoken, VoiceConfig, languages, speak, variants, voice_name
from core.runtime import PROFILE_VARIABLE, Profile, current_profile

_NUMBERED = SPEAKERS[0].rstrip("0123456789")
_OWN_PITCH = VoiceConfig().pitch


class Voices:
    """The voices of a profile. The network is loaded when it first speaks.

    On the hub profile English is said by the neural voice, unless a variant of espeak-ng is asked for, and any other
    language by espeak-ng, as everything is on the embedded one. What was said tells who said it.

    Args:
        profile: None: this process's own.

    Raises:
        ParameterError: the process names no profile that there is.
    """

    def __init__(self, profile: Profile | None = None) -> None:
        self.profile: Profile = profile or current_profile()
        self._neural: NeuralVoice | None = None
        self._lock = threading.Lock()

    def languages(self) -> tuple[tuple[str, str, str], ...]:
        """The languages that can be spoken, as (code, name, who says them), in the order of their names."""
        return tuple((code, name, self.who(VoiceConfig(code))) for code, name in languages())

    def variants(self) -> tuple[str, ...]:
        """What may be asked for as variant, the plain voice apart: on the hub profile people first, then espeak-ng's.

        There the plain voice of espeak-ng is called "espeak-ng".
        """
        return (*SPEAKERS, ESPEAK, *variants()) if self.profile == "hub" else variants()

    def who(self, voice: VoiceConfig) -> str:
        """Who says a text: "espeak-ng", or the name of the neural voice's weights.

        Raises:
            ParameterError: that voice cannot say it; the message tells which can.
        """
        chosen, english = voice.variant.startswith(_NUMBERED), voice.language.split("-")[0] == "en"
        if chosen and self.profile != "hub":
            raise ParameterError(
                f"The voice {voice.variant} belongs to the hub profile; choose another variant, or set "
                f"{PROFILE_VARIABLE} to 'hub'."
            )
        if chosen and voice.variant not in SPEAKERS:
            raise ParameterError(f"No voice is called {voice.variant!r}; choose from {SPEAKERS[0]} to {SPEAKERS[-1]}.")
        if chosen and not english:
            raise ParameterError(
                f"The voice {voice.variant} speaks English only, not {voice.language!r}; choose a language such as "
                "'en-us', or another variant, which espeak-ng speaks."
            )
        if not (self.profile == "hub" and english and (chosen or not voice.variant)):
            return ESPEAK
        if voice.pitch != _OWN_PITCH:
            raise ParameterError(
                f"The neural voice cannot speak at pitch {voice.pitch}; leave it at {_OWN_PITCH} and choose another of "
                f"its speakers, or choose the variant {ESPEAK}."
            )
        return WEIGHTS

    def speak(self, text: str, voice: VoiceConfig | None = None) -> Spoken:
        """Say a text.

        Args:
            text: plain, at most 5,000 characters.
            voice: American English where none is given.

        Raises:
            ParameterError: as `core.lip_sync.voices.speak` and `who`.
            WeightsError: the weights of the neural voice are missing or wrong.
            CoreError: espeak-ng cannot be opened.
        """
        voice = voice or VoiceConfig()
        if self.who(voice) != ESPEAK:
            voice_name(VoiceConfig(voice.language))
            return self._network().speak(text, voice)
        return speak(text, replace(voice, variant="") if voice.variant == ESPEAK else voice)

    def _network(self) -> NeuralVoice:
        with self._lock:
            self._neural = self._neural or NeuralVoice()
            return self._neural
