"""The desktop window of imsphone. It knows the engine only through `imsphone.rpc`."""
