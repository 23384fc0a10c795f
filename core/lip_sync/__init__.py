"""Lip-sync: a face and speech in, the mouth that says it out (METHODS 4).

So far there is what comes before the network: the blurred mouth and its gradient map (`mouth_region`), faces and their
points (`faces`), faces followed through a film (`tracks`, `following`), and the cepstrum of speech (`sound`).
"""
