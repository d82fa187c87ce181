"""imsphone: the device layer of an IP Multimedia Subsystem, as a library, a command line and a desktop program."""
