"""What happens to the frames of a batch on a stream processor, in this order: decode, detect, recognise, encode.

Each stage adds to the `CameraFrame`s that it is given, of any cameras; the frames of a camera come in their order.
"""
