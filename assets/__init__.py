"""What is not code: sounds, and later icons and the networks' peculiarities, shipped as package data.

The folder lies at the top of the checkout and is installed as the package `imsphone.assets`, so that it is found the
same way from a checkout and from a wheel:

    importlib.resources.files("imsphone.assets") / "sounds" / "speech.wav"
"""
