"""Frozen pretrained encoders behind small Protocols: image, audio, text, speech, faces.

Each module holds one Protocol, its implementations, and one function that picks the implementation of a profile.
A network is loaded when its encoder is made; importing these modules loads nothing.
"""
